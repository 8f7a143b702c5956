//! How fast the transport is, to be run by hand:
//! `cargo test --release -p kadmap --lib transport::speed -- --ignored --nocapture --test-threads 1`.
//!
//! Inline because the transport is not public. Nothing is asserted about time.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use kadmap_core::Contact;

use super::{Transport, TransportConfig, TransportEvent};
use crate::identity::{Credentials, Identity, Trust};

const FRAME_BYTES: usize = 100;
const WARM_UP: Duration = Duration::from_millis(500);
const RUN: Duration = Duration::from_secs(3);
/// Without an answer for so long something was lost, and everything is asked again.
const STALL: Duration = Duration::from_millis(50);

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

fn bind() -> (Transport, Contact) {
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let credentials = Credentials::new(&Identity::generate().unwrap(), &Trust::Open).unwrap();
    let transport =
        Transport::bind(&TransportConfig { listen, ..TransportConfig::default() }, &credentials).unwrap();
    let contact = Contact { id: credentials.node_id(), address: transport.local_address() };
    (transport, contact)
}

async fn echo(mut transport: Transport) {
    loop {
        transport.ready().await;
        transport.receive();
        while let Some(event) = transport.poll_event() {
            if let TransportEvent::Received { from, frame } = event {
                transport.reply(from.id, frame);
            }
        }
        transport.flush();
    }
}

/// `peers` echoing nodes on a thread of their own, which ends with the process.
fn echoing(peers: usize) -> Vec<Contact> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        runtime().block_on(async {
            let mut tasks = Vec::new();
            for _ in 0..peers {
                let (transport, contact) = bind();
                sender.send(contact).unwrap();
                tasks.push(tokio::spawn(echo(transport)));
            }
            for task in tasks {
                task.await.unwrap();
            }
        });
    });
    receiver.into_iter().take(peers).collect()
}

async fn ask(contacts: &[Contact], in_flight: usize, frame: Bytes, run: Duration) -> (Transport, u64) {
    let (mut transport, _) = bind();
    let mut answers = 0;
    let mut fill = true;
    let mut start = Instant::now();
    let mut warm = false;
    let mut last_answer = start;
    while !warm || start.elapsed() < run {
        if fill {
            for contact in contacts {
                (0..in_flight).for_each(|_| transport.send(*contact, frame.clone()));
            }
            transport.flush();
        }
        fill = tokio::time::timeout(STALL, transport.ready()).await.is_err() && last_answer.elapsed() > STALL;
        transport.receive();
        while let Some(event) = transport.poll_event() {
            if let TransportEvent::Received { from, frame } = event {
                answers += 1;
                last_answer = Instant::now();
                transport.send(from, frame);
            }
        }
        transport.flush();
        if !warm && start.elapsed() > WARM_UP {
            (warm, answers, start) = (true, 0, Instant::now());
        }
    }
    (transport, answers)
}

#[allow(clippy::print_stderr, reason = "a figure for the person who runs it")]
fn report(what: &str, answers: u64, run: Duration, transport: Option<&Transport>) {
    let rate = answers as f64 / run.as_secs_f64() / 1e3;
    eprintln!("{what}: {rate:.1} k/s");
    if let Some(transport) = transport {
        eprintln!("    {:?}", transport.stats());
    }
}

/// What the process holds per connection end, sockets and endpoints included; Linux only.
#[allow(clippy::print_stderr, reason = "a figure for the person who runs it")]
fn report_memory(ends: usize) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.split_whitespace().next());
    let kilobytes: usize = resident.and_then(|text| text.parse().ok()).unwrap_or(0);
    eprintln!("    {} KB resident per connection end", kilobytes / ends);
}

fn measure(what: &str, peers: usize, in_flight: usize) {
    let contacts = echoing(peers);
    let frame = Bytes::from(vec![7; FRAME_BYTES]);
    let (transport, answers) = runtime().block_on(ask(&contacts, in_flight, frame, RUN));
    report(what, answers, RUN, Some(&transport));
}

#[test]
#[ignore = "a benchmark"]
fn one_peer_64_in_flight() {
    measure("one peer, 64 in flight", 1, 64);
}

#[test]
#[ignore = "a benchmark"]
fn one_peer_1_in_flight() {
    measure("one peer, 1 in flight", 1, 1);
}

#[test]
#[ignore = "a benchmark"]
fn peers_20_to_100_with_1_in_flight_each() {
    measure("20 peers, 1 in flight each", 20, 1);
    measure("30 peers, 1 in flight each", 30, 1);
    measure("100 peers, 1 in flight each", 100, 1);
}

#[test]
#[ignore = "a benchmark"]
fn one_peer_frames_of_1_mib() {
    let contacts = echoing(1);
    let frame = Bytes::from(vec![7; 1024 * 1024]);
    let (transport, answers) = runtime().block_on(ask(&contacts, 4, frame, RUN));
    report("one peer, echoes of 1 MiB, 4 in flight", answers, RUN, Some(&transport));
}

#[test]
#[ignore = "a benchmark"]
fn handshakes() {
    let contacts = echoing(500);
    runtime().block_on(async {
        let (mut transport, _) = bind();
        let start = Instant::now();
        for contact in &contacts {
            transport.dial(contact.address);
            transport.flush();
        }
        while transport.stats().connections < contacts.len() {
            transport.ready().await;
            transport.receive();
            while transport.poll_event().is_some() {}
            transport.flush();
        }
        report("handshakes", contacts.len() as u64, start.elapsed(), Some(&transport));
        report_memory(2 * contacts.len());
    });
}

#[test]
#[ignore = "a benchmark"]
fn plain_udp_64_in_flight() {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        runtime().block_on(async {
            let socket = tokio::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
            sender.send(socket.local_addr().unwrap()).unwrap();
            let mut buffer = [0; 2048];
            loop {
                let (length, from) = socket.recv_from(&mut buffer).await.unwrap();
                socket.send_to(&buffer[..length], from).await.unwrap();
            }
        });
    });
    let to = receiver.recv().unwrap();
    let answers = runtime().block_on(async {
        let socket = tokio::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let mut buffer = [0; 2048];
        for _ in 0..64 {
            socket.send_to(&[7; FRAME_BYTES], to).await.unwrap();
        }
        let start = Instant::now();
        let mut answers = 0;
        while start.elapsed() < RUN {
            let (length, from) = socket.recv_from(&mut buffer).await.unwrap();
            socket.send_to(&buffer[..length], from).await.unwrap();
            answers += 1;
        }
        answers
    });
    report("plain UDP, 64 in flight", answers, RUN, None);
}
