//! The UDP socket: batches in, coalesced packets out, one kind of address for everybody.

use std::io::{self, IoSliceMut};
use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::task::{Context, Poll};

use quinn_proto::{EcnCodepoint, Transmit};
use quinn_udp::{BATCH_SIZE, RecvMeta, UdpSocketState};
use socket2::{Domain, Protocol, Type};
use tokio::io::Interest;

use super::buffers::{MESSAGE_BYTES_MAX, with_receive_buffer};
use super::{BindError, TransportStats};

/// Bytes asked of the kernel for each socket buffer: a burst of a thousand replies overflows the usual 200 KB. The
/// kernel gives what its own limit allows and nothing is lost by asking.
const SOCKET_BUFFER_BYTES: usize = 4 * 1024 * 1024;

/// Packets taken in one turn, so that a flood cannot keep timers and replies waiting.
const PACKETS_PER_TURN_MAX: usize = 256;

/// A packet as it came.
pub(super) struct Packet<'a> {
    pub(super) from: SocketAddr,
    pub(super) local_ip: Option<IpAddr>,
    pub(super) ecn: Option<EcnCodepoint>,
    pub(super) bytes: &'a [u8],
}

/// Which addresses a socket can send to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Family {
    V4,
    V6,
    /// IPv6 with IPv4 mapped into it; outside this file those addresses are plain IPv4.
    Both,
}

/// A non-blocking UDP socket that keeps what the kernel had no room for.
pub(super) struct Socket {
    io: tokio::net::UdpSocket,
    state: UdpSocketState,
    family: Family,
    local_address: SocketAddr,
    unsent: Option<(Transmit, Vec<u8>)>,
    loss: Option<Loss>,
}

impl Socket {
    pub(super) fn bind(address: SocketAddr, packet_loss: f64) -> Result<Self, BindError> {
        Self::open(address, packet_loss).map_err(|error| BindError::from_io(address, error))
    }

    fn open(address: SocketAddr, packet_loss: f64) -> io::Result<Self> {
        let socket = socket2::Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
        let both = address.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED);
        if address.is_ipv6() {
            socket.set_only_v6(!both)?;
        }
        // A smaller buffer than asked for works as well, with more loss in bursts.
        let _ = socket.set_recv_buffer_size(SOCKET_BUFFER_BYTES);
        let _ = socket.set_send_buffer_size(SOCKET_BUFFER_BYTES);
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        let io = tokio::net::UdpSocket::from_std(socket.into())?;
        Ok(Self {
            state: UdpSocketState::new((&io).into())?,
            local_address: io.local_addr()?,
            family: match (address.is_ipv4(), both) {
                (true, _) => Family::V4,
                (false, true) => Family::Both,
                (false, false) => Family::V6,
            },
            io,
            unsent: None,
            loss: (packet_loss > 0.0).then(|| Loss::new(packet_loss)),
        })
    }

    pub(super) fn local_address(&self) -> SocketAddr {
        self.local_address
    }

    /// Whether packets are never fragmented, so that a path's size can be probed.
    pub(super) fn may_probe_mtu(&self) -> bool {
        !self.state.may_fragment()
    }

    /// Packets of `packet_bytes` that one send may carry.
    pub(super) fn packets_per_send(&self, packet_bytes: usize) -> usize {
        if self.loss.is_some() {
            return 1; // Each packet has its own chance to be lost.
        }
        // The kernel takes a run of packets of up to one maximal UDP datagram.
        const RUN_BYTES_MAX: usize = 65_000;
        self.state.max_gso_segments().min(RUN_BYTES_MAX / packet_bytes.max(1)).max(1)
    }

    /// Whether the socket can send to `address` at all.
    pub(super) fn reaches(&self, address: SocketAddr) -> bool {
        let family_fits = match self.family {
            Family::V4 => address.is_ipv4(),
            Family::V6 => address.is_ipv6(),
            Family::Both => true,
        };
        family_fits && address.port() != 0 && !address.ip().is_unspecified() && !address.ip().is_multicast()
    }

    /// Wakes the task when there is something to receive.
    pub(super) fn poll_receivable(&self, context: &mut Context<'_>) -> Poll<()> {
        // An error surfaces in `receive`, which knows what to do with it.
        self.io.poll_recv_ready(context).map(|_| ())
    }

    /// Hands every packet that is there to `each`, up to the bound of one turn.
    pub(super) fn receive(&mut self, mut each: impl FnMut(Packet<'_>)) {
        with_receive_buffer(|buffer| {
            let mut packets = 0;
            while packets < PACKETS_PER_TURN_MAX {
                let mut metas = [RecvMeta::default(); BATCH_SIZE];
                let (messages, more) = self.receive_batch(buffer, &mut metas);
                packets += 1; // So that a batch of nothing but errors counts as well.
                for (meta, message) in metas.iter().zip(buffer.chunks(MESSAGE_BYTES_MAX)).take(messages) {
                    let run = message.get(..meta.len).unwrap_or_default();
                    for bytes in run.chunks(meta.stride.max(1)) {
                        packets += 1;
                        each(Packet {
                            from: canonical(meta.addr),
                            local_ip: meta.dst_ip.map(|ip| ip.to_canonical()),
                            ecn: meta.ecn.and_then(|ecn| EcnCodepoint::from_bits(ecn as u8)),
                            bytes,
                        });
                    }
                }
                if !more {
                    break;
                }
            }
        });
    }

    /// Receives one batch; says how many messages came and whether there may be more.
    fn receive_batch(&self, buffer: &mut [u8], metas: &mut [RecvMeta; BATCH_SIZE]) -> (usize, bool) {
        let mut chunks = buffer.chunks_mut(MESSAGE_BYTES_MAX);
        let mut slices: [IoSliceMut<'_>; BATCH_SIZE] =
            std::array::from_fn(|_| IoSliceMut::new(chunks.next().unwrap_or_default()));
        let mut messages = 0;
        let result = self.io.try_io(Interest::READABLE, || {
            messages = self.state.recv((&self.io).into(), &mut slices, metas)?;
            // A batch that is not full has emptied the socket. Saying so clears the readiness and saves the call
            // that would be told there is nothing.
            if messages < BATCH_SIZE { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(()) }
        });
        match result {
            Ok(()) => (messages, true),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => (messages, false),
            // Windows reports here that an earlier packet found no listener; the next call receives.
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => (0, true),
            Err(error) => {
                tracing::debug!(%error, "cannot receive");
                (0, false)
            }
        }
    }

    /// Sends what `transmit` describes, or keeps it when the kernel has no room: then [`Self::is_blocked`].
    pub(super) fn send(&mut self, transmit: Transmit, bytes: &[u8], stats: &mut TransportStats) {
        let packets = transmit.segment_size.map_or(1, |size| bytes.len().div_ceil(size.max(1)));
        if self.loss.as_mut().is_some_and(Loss::strikes) {
            stats.packets_lost_on_purpose += packets as u64;
            return;
        }
        let sent = self.state.try_send(
            (&self.io).into(),
            &quinn_udp::Transmit {
                destination: self.mapped(transmit.destination),
                ecn: transmit.ecn.and_then(|ecn| quinn_udp::EcnCodepoint::from_bits(ecn as u8)),
                contents: bytes,
                segment_size: transmit.segment_size,
                src_ip: transmit.src_ip.map(|ip| self.mapped_ip(ip)),
            },
        );
        match sent {
            Ok(()) => {
                stats.packets_out += packets as u64;
                stats.bytes_out += bytes.len() as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.unsent = Some((transmit, bytes.to_vec()));
            }
            // As good as lost on the way, and repeated like anything lost.
            Err(error) => {
                stats.send_errors += 1;
                tracing::debug!(%error, to = %transmit.destination, "cannot send");
            }
        }
    }

    /// Whether a packet waits for room in the kernel; nothing else may be sent until it is gone.
    pub(super) fn is_blocked(&self) -> bool {
        self.unsent.is_some()
    }

    /// Tries again to send what waits; `true` when nothing does.
    pub(super) fn unblock(&mut self, stats: &mut TransportStats) -> bool {
        if let Some((transmit, bytes)) = self.unsent.take() {
            self.send(transmit, &bytes, stats);
        }
        !self.is_blocked()
    }

    fn mapped(&self, address: SocketAddr) -> SocketAddr {
        match address {
            SocketAddr::V4(v4) if self.family == Family::Both => {
                SocketAddrV6::new(v4.ip().to_ipv6_mapped(), v4.port(), 0, 0).into()
            }
            other => other,
        }
    }

    fn mapped_ip(&self, ip: IpAddr) -> IpAddr {
        match ip {
            IpAddr::V4(v4) if self.family == Family::Both => v4.to_ipv6_mapped().into(),
            other => other,
        }
    }
}

/// The address with an IPv4 one freed from IPv6: the form in which all addresses are compared and told.
pub(super) fn canonical(address: SocketAddr) -> SocketAddr {
    match address.ip().to_canonical() {
        IpAddr::V4(v4) => SocketAddr::new(v4.into(), address.port()),
        IpAddr::V6(_) => address,
    }
}

/// Throws packets away at random: xorshift64* of Marsaglia and Vigna, good enough to choose victims.
struct Loss {
    state: u64,
    threshold: u64,
}

impl Loss {
    fn new(share: f64) -> Self {
        // A float beyond the range saturates, so a share of 1 loses everything.
        Self { state: 0x9e37_79b9_7f4a_7c15, threshold: (share * u64::MAX as f64) as u64 }
    }

    fn strikes(&mut self) -> bool {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        self.state.wrapping_mul(0x2545_f491_4f6c_dd1d) < self.threshold
    }
}
