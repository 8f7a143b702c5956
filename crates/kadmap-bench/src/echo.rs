//! Bare UDP, sent back as it came: what the machine can do without any of our code.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use tokio::net::UdpSocket;
use tokio::runtime::Builder;
use tokio::time::timeout;

use crate::error::BenchError;
use crate::latency::Latencies;

/// An echo that has not come after this long is lost and replaced by a new one.
const LOST_AFTER: Duration = Duration::from_millis(200);
/// How often in a row all echoes may be lost before the other end counts as gone.
const LOSSES_MAX: usize = 25;
/// The largest packet sent back.
const PACKET_BYTES_MAX: usize = 65_535;

/// What a number of echoes took.
#[derive(Debug, Clone, Default)]
pub(crate) struct Echoes {
    /// Echoes per second.
    pub(crate) per_second: f64,
    /// Round trips; only with one in flight.
    pub(crate) round_trips: Latencies,
}

/// A socket on any free port of loopback.
pub(crate) async fn bind() -> Result<UdpSocket, BenchError> {
    UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(BenchError::system("a UDP socket"))
}

/// Sends every packet back, forever.
pub(crate) async fn serve(socket: UdpSocket) {
    let mut packet = vec![0; PACKET_BYTES_MAX];
    loop {
        // An error is the report of an earlier answer that nobody took; the next packet may come all the same.
        if let Ok((bytes, from)) = socket.recv_from(&mut packet).await {
            let _ = socket.send_to(&packet[..bytes], from).await;
        }
    }
}

/// Has so many packets sent back, so many in flight.
pub(crate) async fn measure(
    server: SocketAddr,
    count: u64,
    in_flight: usize,
    payload_bytes: usize,
) -> Result<Echoes, BenchError> {
    let socket = bind().await?;
    socket.connect(server).await.map_err(BenchError::system("a UDP socket"))?;
    let payload = vec![b'e'; payload_bytes];
    let mut packet = vec![0; PACKET_BYTES_MAX];
    let mut round_trips = Latencies::default();
    let (mut done, mut losses) = (0, 0);
    let begun = Instant::now();
    let mut sent = Instant::now();
    send(&socket, &payload, in_flight).await?;
    while done < count {
        match timeout(LOST_AFTER, socket.recv(&mut packet)).await {
            Ok(received) => {
                received.map_err(BenchError::system("an echo"))?;
                (done, losses) = (done + 1, 0);
                if in_flight == 1 {
                    round_trips.push(sent.elapsed());
                }
                sent = Instant::now();
                send(&socket, &payload, 1).await?;
            }
            Err(_) if losses == LOSSES_MAX => {
                return Err(BenchError::NoAnswer { what: "an echo".to_owned() });
            }
            Err(_) => {
                losses += 1;
                send(&socket, &payload, in_flight).await?;
            }
        }
    }
    Ok(Echoes { per_second: done as f64 / begun.elapsed().as_secs_f64().max(f64::EPSILON), round_trips })
}

async fn send(socket: &UdpSocket, payload: &[u8], times: usize) -> Result<(), BenchError> {
    for _ in 0..times {
        socket.send(payload).await.map_err(BenchError::system("a UDP packet"))?;
    }
    Ok(())
}

/// Has packets sent back by a server in another process.
pub(crate) fn between_processes(
    server: SocketAddr,
    count: u64,
    in_flight: usize,
    payload_bytes: usize,
) -> Result<Echoes, BenchError> {
    let runtime =
        Builder::new_current_thread().enable_all().build().map_err(BenchError::system("a runtime"))?;
    runtime.block_on(measure(server, count, in_flight, payload_bytes))
}

/// Has packets sent back between two sockets of one thread, on so many threads at once: the yardstick for a swarm
/// in one process. Tells the sum of the threads.
pub(crate) fn within_process(
    threads: usize,
    count: u64,
    in_flight: usize,
    payload_bytes: usize,
) -> Result<Echoes, BenchError> {
    let share = in_flight.div_ceil(threads);
    let one = move || -> Result<Echoes, BenchError> {
        let runtime =
            Builder::new_current_thread().enable_all().build().map_err(BenchError::system("a runtime"))?;
        runtime.block_on(async {
            let socket = bind().await?;
            let address = socket.local_addr().map_err(BenchError::system("a UDP socket"))?;
            tokio::spawn(serve(socket));
            measure(address, count, share, payload_bytes).await
        })
    };
    let all: Vec<_> = (0..threads).map(|_| std::thread::spawn(one)).collect();
    let mut sum = Echoes::default();
    for thread in all {
        let echoes =
            thread.join().map_err(|_| BenchError::NoAnswer { what: "the echo thread".to_owned() })??;
        sum.per_second += echoes.per_second;
        sum.round_trips.append(echoes.round_trips);
    }
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn echoes_come_back_on_every_thread() {
        let echoes = within_process(2, 50, 2, 100).unwrap();
        assert!(echoes.per_second > 0.0);
        assert!(echoes.round_trips.clone().p50_ms().is_some());
    }
}
