//! Behaviour of the transport over real sockets on loopback.

use std::future::{Future, poll_fn};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::path::Path;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use kadmap_core::{Contact, NodeId};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

use super::{BindError, DialError, Transport, TransportConfig, TransportEvent};
use crate::identity::{Credentials, Identity, PkiFiles, SwarmSecret, Trust};

/// Longer than any test takes on a busy machine; only a failing test waits for it.
const PATIENCE: Duration = Duration::from_secs(60);

struct Node {
    transport: Transport,
    contact: Contact,
    events: Vec<TransportEvent>,
}

impl Node {
    fn new(trust: &Trust) -> Self {
        Self::with(&Identity::generate().unwrap(), trust, config())
    }

    fn with(identity: &Identity, trust: &Trust, config: TransportConfig) -> Self {
        let credentials = Credentials::new(identity, trust).unwrap();
        let transport = Transport::bind(&config, &credentials).unwrap();
        let mut address = transport.local_address();
        if address.ip().is_unspecified() {
            address.set_ip(Ipv4Addr::LOCALHOST.into());
        }
        let contact = Contact { id: credentials.node_id(), address };
        Self { transport, contact, events: Vec::new() }
    }

    fn turn(&mut self) {
        self.transport.receive();
        while let Some(event) = self.transport.poll_event() {
            self.events.push(event);
        }
        self.transport.flush();
    }

    fn send(&mut self, to: Contact, frame: impl Into<Bytes>) {
        self.transport.send(to, frame.into());
    }

    fn frames(&self) -> Vec<(NodeId, Bytes)> {
        let frame = |event: &TransportEvent| match event {
            TransportEvent::Received { from, frame } => Some((from.id, frame.clone())),
            _ => None,
        };
        self.events.iter().filter_map(frame).collect()
    }

    fn is_connected(&self, other: &Node) -> bool {
        self.transport.is_connected(&other.contact.id)
    }

    fn failure(&self) -> Option<&DialError> {
        self.events.iter().find_map(|event| match event {
            TransportEvent::Unreachable { reason, .. } => Some(reason),
            _ => None,
        })
    }
}

fn config() -> TransportConfig {
    TransportConfig { listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), ..TransportConfig::default() }
}

fn secret(text: &str) -> Trust {
    Trust::Secret(SwarmSecret::new(text).unwrap())
}

fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(PATIENCE, test).await.expect("the test does not end") });
}

/// Drives the nodes until `done`.
async fn drive<const N: usize>(mut nodes: [&mut Node; N], mut done: impl FnMut(&mut [&mut Node; N]) -> bool) {
    loop {
        nodes.iter_mut().for_each(|node| node.turn());
        if done(&mut nodes) {
            nodes.iter_mut().for_each(|node| node.transport.flush());
            return;
        }
        poll_fn(|context| {
            // All are asked, so that each one wakes this task.
            let ready = nodes.each_mut().map(|node| node.transport.poll_ready(context).is_ready());
            if ready.contains(&true) { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }
}

async fn connect(one: &mut Node, two: &mut Node) {
    one.transport.dial(two.contact.address);
    drive([one, two], |[one, two]| one.is_connected(two) && two.is_connected(one)).await;
}

fn pattern(length: usize) -> Bytes {
    (0..length).map(|index| (index * 31 + index / 256) as u8).collect::<Vec<_>>().into()
}

#[test]
fn the_transport_may_move_between_threads() {
    fn assert_send<T: Send>(_: &T) {}
    run(async {
        let mut node = Node::new(&Trust::Open);
        assert_send(&node.transport);
        assert_send(&node.transport.ready());
    });
}

#[test]
fn frames_of_every_size_arrive_whole_both_ways() {
    run(async {
        let (mut one, mut two) = (Node::new(&Trust::Open), Node::new(&Trust::Open));
        let (first, second) = (one.contact, two.contact);
        let mib = 1024 * 1024;
        for length in [0, 100, 1100, 8900, 9000, 70_000, mib, 16 * mib] {
            let frame = pattern(length);
            one.events.clear();
            two.events.clear();
            one.send(second, frame.clone());
            drive([&mut one, &mut two], |[_, two]| !two.frames().is_empty()).await;
            assert_eq!(two.frames(), [(first.id, frame.clone())], "{length} bytes there");
            two.transport.reply(first.id, frame.clone());
            drive([&mut one, &mut two], |[one, _]| !one.frames().is_empty()).await;
            assert_eq!(one.frames(), [(second.id, frame)], "{length} bytes back");
        }
        assert_eq!(one.transport.stats().dials, 1);
    });
}

#[test]
fn several_of_the_largest_frames_arrive_at_once() {
    run(async {
        let (mut one, mut two) = (Node::new(&Trust::Open), Node::new(&Trust::Open));
        let frames: Vec<_> = (1..=4).map(|less| pattern(16 * 1024 * 1024 - less)).collect();
        let to = two.contact;
        frames.iter().for_each(|frame| one.send(to, frame.clone()));
        drive([&mut one, &mut two], |[_, two]| two.frames().len() == 4).await;
        let mut received: Vec<_> = two.frames().into_iter().map(|(_, frame)| frame).collect();
        received.sort_by_key(|frame| std::cmp::Reverse(frame.len()));
        assert!(received == frames);
    });
}

#[test]
fn more_big_frames_than_streams_wait_their_turn() {
    run(async {
        let (mut one, mut two) = (Node::new(&Trust::Open), Node::new(&Trust::Open));
        let to = two.contact;
        (0..100).for_each(|_| one.send(to, pattern(20_000)));
        drive([&mut one, &mut two], |[_, two]| two.frames().len() == 100).await;
        assert_eq!(one.transport.stats().streams_out, 100);
    });
}

#[test]
fn many_small_frames_arrive_both_ways() {
    const FRAMES: u32 = 50_000;
    const WINDOW: u32 = 500;
    run(async {
        let (mut one, mut two) = (Node::new(&Trust::Open), Node::new(&Trust::Open));
        connect(&mut one, &mut two).await;
        let (first, second) = (one.contact, two.contact);
        let mut next = 0;
        while next < FRAMES {
            for number in next..next + WINDOW {
                one.send(second, number.to_le_bytes().to_vec());
                two.send(first, number.to_le_bytes().to_vec());
            }
            drive([&mut one, &mut two], |nodes| {
                nodes.iter().all(|node| node.frames().len() == WINDOW as usize)
            })
            .await;
            for node in [&mut one, &mut two] {
                let mut numbers: Vec<_> = node
                    .frames()
                    .iter()
                    .map(|(_, frame)| u32::from_le_bytes(frame[..].try_into().unwrap()))
                    .collect();
                numbers.sort_unstable();
                assert!(numbers.into_iter().eq(next..next + WINDOW));
                node.events.clear();
            }
            next += WINDOW;
        }
        let stats = one.transport.stats();
        assert!(stats.packets_out < u64::from(FRAMES) / 4, "frames share packets: {stats:?}");
    });
}

#[test]
fn another_secret_is_refused_both_ways() {
    run(async {
        let (mut one, mut two) = (Node::new(&secret("secret one")), Node::new(&secret("secret two")));
        let (first, second) = (one.contact, two.contact);
        one.send(second, "to two");
        two.send(first, "to one");
        drive([&mut one, &mut two], |nodes| nodes.iter().all(|node| node.failure().is_some())).await;
        for node in [&one, &two] {
            assert!(matches!(node.failure(), Some(DialError::Untrusted { .. })), "{:?}", node.events);
            assert_eq!(node.events.len(), 1);
            assert_eq!(node.transport.stats().connections, 0);
        }
    });
}

#[test]
fn the_same_secret_connects() {
    run(async {
        let (mut one, mut two) =
            (Node::new(&secret("the same secret")), Node::new(&secret("the same secret")));
        connect(&mut one, &mut two).await;
    });
}

#[test]
fn an_open_node_and_a_member_of_a_private_swarm_do_not_talk() {
    run(async {
        let (mut open, mut member) = (Node::new(&Trust::Open), Node::new(&secret("a swarm secret")));
        let (to_open, to_member) = (open.contact, member.contact);
        open.send(to_member, "from outside");
        member.send(to_open, "from inside");
        drive([&mut open, &mut member], |nodes| nodes.iter().all(|node| node.failure().is_some())).await;
        assert!(open.events.len() == 1 && member.events.len() == 1);
    });
}

#[test]
fn a_self_made_certificate_is_refused_in_a_private_swarm() {
    run(async {
        // A stranger who speaks the members' protocol, with an authority of the same name and another key.
        let folder = tempfile::tempdir().unwrap();
        let files = Authority::new("kadmap swarm").issue(folder.path(), "stranger");
        let mut stranger = Node::new(&Trust::Pki(files));
        let mut member = Node::new(&secret("a swarm secret"));
        let (to_stranger, to_member) = (stranger.contact, member.contact);
        member.send(to_stranger, "from inside");
        stranger.send(to_member, "from outside");
        drive([&mut stranger, &mut member], |nodes| nodes.iter().all(|node| node.failure().is_some())).await;
        assert!(member.frames().is_empty() && member.transport.stats().connections == 0);
    });
}

#[test]
fn a_contact_that_proves_another_id_is_dropped_with_its_frames() {
    run(async {
        let (mut one, mut two) = (Node::new(&Trust::Open), Node::new(&Trust::Open));
        let expected = NodeId::from_bytes([7; 32]);
        let wrong = Contact { id: expected, address: two.contact.address };
        one.send(wrong, "a secret for somebody else");
        drive([&mut one, &mut two], |[one, two]| {
            one.failure().is_some() && two.transport.stats().handshakes_failed == 1
        })
        .await;
        assert_eq!(one.failure(), Some(&DialError::WrongId { expected, actual: two.contact.id }));
        assert!(one.events.len() == 1 && two.events.is_empty());
        assert_eq!(one.transport.stats().frames_dropped_out, 1);
    });
}

#[test]
fn a_dial_by_address_tells_who_answered() {
    run(async {
        let (mut one, mut two) = (Node::new(&Trust::Open), Node::new(&Trust::Open));
        connect(&mut one, &mut two).await;
        let dialled = Some(two.contact.address);
        assert_eq!(one.events, [TransportEvent::Connected { contact: two.contact, dialled }]);
        assert_eq!(two.events, [TransportEvent::Connected { contact: one.contact, dialled: None }]);
    });
}

#[test]
fn a_node_does_not_connect_to_itself() {
    run(async {
        let mut node = Node::new(&Trust::Open);
        let myself = node.contact;
        node.transport.dial(myself.address);
        drive([&mut node], |[node]| node.failure().is_some()).await;
        assert_eq!(node.failure(), Some(&DialError::Myself));
        node.events.clear();
        node.send(myself, "to me");
        drive([&mut node], |[node]| node.failure().is_some()).await;
        assert_eq!(node.failure(), Some(&DialError::Myself));
    });
}

#[test]
fn nobody_at_the_address_is_told_after_the_handshake_timeout() {
    run(async {
        let silent = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let config = TransportConfig { handshake_timeout: Duration::from_millis(50), ..config() };
        let mut node = Node::with(&Identity::generate().unwrap(), &Trust::Open, config);
        let contact = Contact { id: NodeId::from_bytes([1; 32]), address: silent.local_addr().unwrap() };
        node.send(contact, "hello");
        drive([&mut node], |[node]| node.failure().is_some()).await;
        let reason = DialError::TimedOut;
        let told = TransportEvent::Unreachable { id: Some(contact.id), address: contact.address, reason };
        assert_eq!(node.events, [told]);
        assert_eq!(node.transport.stats().handshakes_pending, 0);
    });
}

struct Authority(Issuer<'static, KeyPair>, String);

impl Authority {
    fn new(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        Self(Issuer::new(params, key), pem)
    }

    fn issue(&self, folder: &Path, name: &str) -> PkiFiles {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::default().signed_by(&key, &self.0).unwrap();
        let file = |kind: &str, text: &str| {
            let path = folder.join(format!("{name}.{kind}"));
            std::fs::write(&path, text).unwrap();
            path
        };
        PkiFiles {
            ca: file("ca", &self.1),
            cert: file("cert", &certificate.pem()),
            key: file("key", &key.serialize_pem()),
        }
    }
}

#[test]
fn members_of_an_operators_authority_connect_and_others_do_not() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let (ours, foreign) = (Authority::new("ours"), Authority::new("foreign"));
        let node = |authority: &Authority, name| Node::new(&Trust::Pki(authority.issue(folder.path(), name)));
        let (mut one, mut two) = (node(&ours, "one"), node(&ours, "two"));
        connect(&mut one, &mut two).await;
        let mut stranger = node(&foreign, "stranger");
        stranger.transport.dial(one.contact.address);
        one.transport.dial(stranger.contact.address);
        drive([&mut one, &mut stranger], |nodes| nodes.iter().all(|node| node.failure().is_some())).await;
        assert!(!one.is_connected(&stranger) && !stranger.is_connected(&one));
    });
}

#[test]
fn ipv4_ipv6_and_both_on_one_socket_connect() {
    run(async {
        let node = |listen: SocketAddr| {
            let config = TransportConfig { listen, ..config() };
            Node::with(&Identity::generate().unwrap(), &Trust::Open, config)
        };
        let mut v4 = node((Ipv4Addr::LOCALHOST, 0).into());
        let mut v6 = node((Ipv6Addr::LOCALHOST, 0).into());
        let mut both = node((Ipv6Addr::UNSPECIFIED, 0).into());
        connect(&mut v4, &mut both).await;
        let from_v4 = TransportEvent::Connected { contact: v4.contact, dialled: None };
        assert_eq!(both.events, [from_v4], "an IPv4 peer has a plain IPv4 address");
        both.transport.dial(v6.contact.address);
        drive([&mut both, &mut v6], |[both, v6]| both.is_connected(v6)).await;
        let mut other = node((Ipv4Addr::LOCALHOST, 0).into());
        connect(&mut both, &mut other).await;
        v4.events.clear();
        v4.transport.dial(v6.contact.address);
        drive([&mut v4], |[v4]| v4.failure().is_some()).await;
        assert_eq!(v4.failure(), Some(&DialError::NoRoute));
    });
}

#[test]
fn a_port_in_use_is_named() {
    run(async {
        let taken = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = taken.local_addr().unwrap();
        let credentials = Credentials::new(&Identity::generate().unwrap(), &Trust::Open).unwrap();
        let bind =
            |listen| Transport::bind(&TransportConfig { listen, ..config() }, &credentials).err().unwrap();
        let error = bind(address);
        assert!(matches!(error, BindError::InUse { .. }) && error.to_string().contains(&address.to_string()));
        // An address of documentation networks (RFC 5737) belongs to no interface.
        assert!(matches!(bind("192.0.2.1:0".parse().unwrap()), BindError::NotOurs { .. }));
    });
}

#[test]
fn a_node_that_restarts_on_its_port_resets_dead_connections() {
    run(async {
        let identity = Identity::generate().unwrap();
        let mut one = Node::new(&Trust::Open);
        let mut two = Node::with(&identity, &Trust::Open, config());
        connect(&mut one, &mut two).await;
        let contact = two.contact;
        drop(two);
        let config = TransportConfig { listen: contact.address, ..config() };
        let mut again = Node::with(&identity, &Trust::Open, config);
        one.events.clear();
        one.send(contact, "lost with the old process".repeat(4));
        let closed = TransportEvent::Closed { id: contact.id };
        drive([&mut one, &mut again], |[one, _]| one.events.contains(&closed)).await;
        one.send(contact, "to the new one");
        drive([&mut one, &mut again], |[_, again]| !again.frames().is_empty()).await;
        assert_eq!(again.frames(), [(one.contact.id, Bytes::from("to the new one"))]);
    });
}

#[test]
fn a_goodbye_closes_the_other_end_at_once() {
    run(async {
        let (mut one, mut two) = (Node::new(&Trust::Open), Node::new(&Trust::Open));
        connect(&mut one, &mut two).await;
        one.transport.close().await;
        let closed = TransportEvent::Closed { id: one.contact.id };
        drive([&mut two], |[two]| two.events.contains(&closed)).await;
        assert_eq!(two.transport.stats().connections, 0);
    });
}

#[test]
fn silence_closes_a_connection_and_the_next_frame_dials_again() {
    run(async {
        let config = TransportConfig { idle_timeout: Duration::from_millis(200), ..config() };
        let node = || Node::with(&Identity::generate().unwrap(), &Trust::Open, config.clone());
        let (mut one, mut two) = (node(), node());
        connect(&mut one, &mut two).await;
        drive([&mut one, &mut two], |nodes| nodes.iter().all(|node| node.transport.stats().connections == 0))
            .await;
        let to = two.contact;
        one.send(to, "again");
        drive([&mut one, &mut two], |[_, two]| !two.frames().is_empty()).await;
    });
}

#[test]
fn the_least_recently_used_connection_makes_room() {
    run(async {
        let config = TransportConfig { connections_max: 2, ..config() };
        let mut hub = Node::with(&Identity::generate().unwrap(), &Trust::Open, config);
        let mut others = [(); 3].map(|()| Node::new(&Trust::Open));
        let [first, second, third] = &mut others;
        connect(first, &mut hub).await;
        connect(second, &mut hub).await;
        let to = hub.contact;
        first.send(to, "still here");
        drive([first, &mut hub], |[_, hub]| !hub.frames().is_empty()).await;
        connect(third, &mut hub).await;
        assert!(hub.is_connected(first) && hub.is_connected(third) && !hub.is_connected(second));
        assert_eq!((hub.transport.stats().connections, hub.transport.stats().evicted), (2, 1));
        drive([second, &mut hub], |[second, hub]| !second.is_connected(hub)).await;
    });
}

#[test]
fn two_nodes_that_dial_each_other_at_once_agree_on_one_connection() {
    run(async {
        let (mut one, mut two) = (Node::new(&Trust::Open), Node::new(&Trust::Open));
        let (first, second) = (one.contact, two.contact);
        one.send(second, "from one");
        two.send(first, "from two");
        one.transport.flush();
        two.transport.flush();
        drive([&mut one, &mut two], |nodes| {
            nodes
                .iter()
                .all(|node| !node.frames().is_empty() && node.transport.stats().handshakes_pending == 0)
        })
        .await;
        assert_eq!(one.frames(), [(second.id, Bytes::from("from two"))]);
        assert_eq!(two.frames(), [(first.id, Bytes::from("from one"))]);
        assert_eq!((one.transport.stats().connections, two.transport.stats().connections), (2, 2));
        assert!(one.failure().is_none() && two.failure().is_none());
    });
}

#[test]
fn garbage_is_harmless() {
    run(async {
        let (mut one, mut two) = (Node::new(&Trust::Open), Node::new(&Trust::Open));
        let stranger = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let mut state = 1_u64;
        for round in 0..5_000_usize {
            let mut packet = vec![0; round * 7 % 1500];
            for byte in &mut packet {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                *byte = (state >> 56) as u8;
            }
            // Every third looks like a QUIC 1 Initial with a connection id of 8 bytes.
            if round % 3 == 0 && packet.len() > 20 {
                packet[..6].copy_from_slice(&[0xc0 | (round as u8 & 0x0f), 0, 0, 0, 1, 8]);
            }
            stranger.send_to(&packet, two.contact.address).unwrap();
            if round % 100 == 0 {
                two.turn();
            }
        }
        connect(&mut one, &mut two).await;
        let stats = two.transport.stats();
        assert!(stats.packets_in > 1_000 && stats.handshakes_pending < 600, "{stats:?}");
    });
}

#[test]
fn a_crowd_of_diallers_is_asked_to_retry_and_gets_in() {
    run(async {
        let mut hub = Node::new(&Trust::Open);
        let mut crowd: Vec<_> = (0..100).map(|_| Node::new(&Trust::Open)).collect();
        for node in &mut crowd {
            node.transport.dial(hub.contact.address);
            node.transport.flush();
        }
        while hub.transport.stats().connections < crowd.len() {
            hub.turn();
            crowd.iter_mut().for_each(Node::turn);
            tokio::task::yield_now().await;
        }
        assert!(hub.transport.stats().retries > 0, "{:?}", hub.transport.stats());
    });
}

#[test]
fn a_frame_beyond_the_limit_is_refused_and_the_next_arrives() {
    run(async {
        let small = TransportConfig { frame_bytes_max: 50_000, ..config() };
        let (mut one, mut two) =
            (Node::new(&Trust::Open), Node::with(&Identity::generate().unwrap(), &Trust::Open, small));
        let (first, second) = (one.contact, two.contact);
        one.send(second, pattern(2_000_000));
        one.send(second, pattern(50_000));
        drive([&mut one, &mut two], |[_, two]| {
            !two.frames().is_empty() && two.transport.stats().frames_dropped_in == 1
        })
        .await;
        assert_eq!(two.frames(), [(first.id, pattern(50_000))]);
        two.send(first, pattern(50_001));
        assert_eq!(two.transport.stats().frames_dropped_out, 1);
    });
}

#[test]
fn half_received_frames_are_bounded() {
    run(async {
        let tight = TransportConfig { reassembly_bytes_max: 100_000, ..config() };
        let (mut one, mut two) =
            (Node::new(&Trust::Open), Node::with(&Identity::generate().unwrap(), &Trust::Open, tight));
        let to = two.contact;
        one.send(to, pattern(4_000_000));
        drive([&mut one, &mut two], |[_, two]| two.transport.stats().frames_dropped_in == 1).await;
        one.send(to, pattern(100));
        drive([&mut one, &mut two], |[_, two]| !two.frames().is_empty()).await;
    });
}

#[test]
fn big_frames_survive_the_loss_of_packets() {
    run(async {
        let lossy = TransportConfig { packet_loss: 0.05, ..config() };
        let node = || Node::with(&Identity::generate().unwrap(), &Trust::Open, lossy.clone());
        let (mut one, mut two) = (node(), node());
        let to = two.contact;
        one.send(to, pattern(300_000));
        drive([&mut one, &mut two], |[_, two]| !two.frames().is_empty()).await;
        assert_eq!(two.frames()[0].1, pattern(300_000));
        assert!(one.transport.stats().packets_lost_on_purpose > 0);
    });
}

#[test]
fn a_reply_without_a_connection_is_dropped_and_counted() {
    run(async {
        let mut node = Node::new(&Trust::Open);
        node.transport.reply(NodeId::from_bytes([1; 32]), Bytes::from("to nobody"));
        assert_eq!(node.transport.stats().frames_dropped_out, 1);
    });
}
