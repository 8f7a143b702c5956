//! One connection: frames in, frames out, and what is half-way.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use kadmap_core::{Contact, NodeId};
use quinn_proto::{Connection, Dir, ReadError, SendDatagramError, StreamEvent, StreamId, VarInt, WriteError};
use rustls::pki_types::CertificateDer;

use super::TransportStats;
use crate::identity::node_id_of_certificate;

/// What a frame in a queue costs beside its bytes, so that empty frames cannot fill memory either.
const FRAME_OVERHEAD_BYTES: usize = 64;

/// The stream code that tells a peer its frame was too big or met no memory.
const FRAME_REFUSED: VarInt = VarInt::from_u32(1);

/// How far a connection has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// The peer has not proved its id yet, and has until `deadline` to do so.
    Handshake { deadline: Instant },
    /// The peer has proved to be this contact.
    Open { peer: Contact, since: Instant },
    /// Over for us; QUIC still answers late packets for a moment.
    Ended,
}

/// Whom we dialled.
#[derive(Debug, Clone, Copy)]
pub(super) struct Dialled {
    /// The id that must be proved; `None` accepts any member.
    pub(super) expected: Option<NodeId>,
    pub(super) address: SocketAddr,
}

/// A QUIC connection and the frames that wait for it.
pub(super) struct Link {
    pub(super) connection: Connection,
    pub(super) stage: Stage,
    /// Set when it was us who dialled.
    pub(super) dialled: Option<Dialled>,
    /// The wake-up that [`Timers`](super::timers::Timers) holds for this connection.
    pub(super) armed: Option<Instant>,
    /// Whether this connection is in the list of those with something to do.
    pub(super) dirty: bool,
    /// When a frame last went either way; the least recent is closed when there are too many connections.
    pub(super) last_used: Instant,
    waiting: VecDeque<Bytes>,
    waiting_bytes: usize,
    sending: Vec<(StreamId, Bytes)>,
    receiving: Vec<(StreamId, BytesMut)>,
}

/// Bounds that a link keeps.
#[derive(Debug, Clone, Copy)]
pub(super) struct FrameLimits {
    pub(super) frame_bytes_max: usize,
    pub(super) queue_bytes_max: usize,
}

impl Link {
    pub(super) fn new(
        connection: Connection,
        dialled: Option<Dialled>,
        now: Instant,
        deadline: Instant,
    ) -> Self {
        Self {
            connection,
            stage: Stage::Handshake { deadline },
            dialled,
            armed: None,
            dirty: false,
            last_used: now,
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            sending: Vec::new(),
            receiving: Vec::new(),
        }
    }

    /// The peer, once it has proved its id.
    pub(super) fn peer(&self) -> Option<Contact> {
        match self.stage {
            Stage::Open { peer, .. } => Some(peer),
            Stage::Handshake { .. } | Stage::Ended => None,
        }
    }

    /// The id that the certificate of the other side proves; TLS has checked the signature by then.
    pub(super) fn proved_id(&self) -> Option<NodeId> {
        let identity = self.connection.crypto_session().peer_identity()?;
        let chain = identity.downcast::<Vec<CertificateDer<'static>>>().ok()?;
        node_id_of_certificate(chain.first()?).ok()
    }

    /// When this connection next wants attention, QUIC's timers and ours together.
    pub(super) fn next_timeout(&mut self) -> Option<Instant> {
        let timeout = self.connection.poll_timeout();
        match self.stage {
            Stage::Handshake { deadline } => Some(timeout.map_or(deadline, |at| at.min(deadline))),
            Stage::Open { .. } | Stage::Ended => timeout,
        }
    }

    /// Sends a frame, or keeps it until the handshake is done or a stream is free; a frame beyond the limits is dropped.
    pub(super) fn push(&mut self, frame: Bytes, limits: FrameLimits, stats: &mut TransportStats) {
        if matches!(self.stage, Stage::Open { .. }) {
            let Some(frame) = self.send_datagram(frame, stats) else { return };
            self.wait(frame, limits, stats);
            self.pump(stats);
        } else {
            self.wait(frame, limits, stats);
        }
    }

    /// Sends every frame that waited for the handshake.
    pub(super) fn release(&mut self, stats: &mut TransportStats) {
        self.waiting_bytes = 0;
        for frame in std::mem::take(&mut self.waiting) {
            if let Some(frame) = self.send_datagram(frame, stats) {
                self.waiting_bytes += frame.len() + FRAME_OVERHEAD_BYTES;
                self.waiting.push_back(frame);
            }
        }
        self.pump(stats);
    }

    /// Takes the frames that wait, to send them another way or to count them as lost.
    pub(super) fn take_waiting(&mut self) -> VecDeque<Bytes> {
        self.waiting_bytes = 0;
        std::mem::take(&mut self.waiting)
    }

    /// Counts all frames that will never leave, and forgets those half received.
    pub(super) fn abandon(&mut self, stats: &mut TransportStats) {
        stats.frames_dropped_out += (self.take_waiting().len() + self.sending.len()) as u64;
        self.sending = Vec::new();
        self.receiving = Vec::new();
    }

    /// The next frame that came as a datagram.
    pub(super) fn receive_datagram(&mut self) -> Option<Bytes> {
        self.connection.datagrams().recv()
    }

    /// Bytes of frames half received.
    pub(super) fn reassembly_bytes(&self) -> usize {
        self.receiving.iter().map(|(_, bytes)| bytes.capacity()).sum()
    }

    /// Refuses every frame half received.
    pub(super) fn refuse_partial_frames(&mut self, stats: &mut TransportStats) {
        for (stream, _) in std::mem::take(&mut self.receiving) {
            stats.frames_dropped_in += 1;
            // Fails only for a stream that has just ended by itself.
            let _ = self.connection.recv_stream(stream).stop(FRAME_REFUSED);
        }
    }

    /// Does what a stream wants; whole frames go to `deliver`.
    pub(super) fn handle_stream(
        &mut self,
        event: &StreamEvent,
        limits: FrameLimits,
        stats: &mut TransportStats,
        mut deliver: impl FnMut(Bytes),
    ) {
        match *event {
            StreamEvent::Opened { dir: Dir::Uni } => {
                while let Some(stream) = self.connection.streams().accept(Dir::Uni) {
                    self.receiving.push((stream, BytesMut::new()));
                    self.read(stream, limits, stats, &mut deliver);
                }
            }
            StreamEvent::Readable { id } => self.read(id, limits, stats, &mut deliver),
            StreamEvent::Writable { .. } | StreamEvent::Stopped { .. } | StreamEvent::Available { .. } => {
                self.pump(stats);
            }
            StreamEvent::Finished { .. } | StreamEvent::Opened { dir: Dir::Bi } => {}
        }
    }

    /// Sends `frame` as a datagram, or gives it back when it is too big for one.
    fn send_datagram(&mut self, frame: Bytes, stats: &mut TransportStats) -> Option<Bytes> {
        let mut datagrams = self.connection.datagrams();
        if datagrams.max_size().is_none_or(|bytes_max| frame.len() > bytes_max) {
            return Some(frame);
        }
        if datagrams.send_buffer_space() < frame.len() {
            // quinn makes room by dropping the oldest; it is at least one.
            stats.frames_dropped_out += 1;
        }
        match datagrams.send(frame.clone(), true) {
            Ok(()) => {
                stats.datagrams_out += 1;
                None
            }
            Err(
                SendDatagramError::Blocked(_)
                | SendDatagramError::TooLarge
                | SendDatagramError::Disabled
                | SendDatagramError::UnsupportedByPeer,
            ) => Some(frame),
        }
    }

    fn wait(&mut self, frame: Bytes, limits: FrameLimits, stats: &mut TransportStats) {
        let bytes = frame.len() + FRAME_OVERHEAD_BYTES;
        if frame.len() > limits.frame_bytes_max || self.waiting_bytes + bytes > limits.queue_bytes_max {
            stats.frames_dropped_out += 1;
            return;
        }
        self.waiting_bytes += bytes;
        self.waiting.push_back(frame);
    }

    /// Writes to every stream what it takes, and opens new ones for the frames that wait.
    fn pump(&mut self, stats: &mut TransportStats) {
        let connection = &mut self.connection;
        self.sending.retain_mut(|(stream, rest)| write(connection, *stream, rest, stats));
        while !self.waiting.is_empty() {
            let Some(stream) = self.connection.streams().open(Dir::Uni) else { break };
            let Some(mut frame) = self.waiting.pop_front() else { break };
            self.waiting_bytes = self.waiting_bytes.saturating_sub(frame.len() + FRAME_OVERHEAD_BYTES);
            if write(&mut self.connection, stream, &mut frame, stats) {
                self.sending.push((stream, frame));
            }
        }
    }

    /// Reads all that came on `stream`.
    fn read(
        &mut self,
        stream: StreamId,
        limits: FrameLimits,
        stats: &mut TransportStats,
        deliver: &mut impl FnMut(Bytes),
    ) {
        let Some(index) = self.receiving.iter().position(|(id, _)| *id == stream) else { return };
        let mut receive = self.connection.recv_stream(stream);
        let outcome = match receive.read(true) {
            Ok(mut chunks) => {
                let bytes = &mut self.receiving[index].1;
                let outcome = loop {
                    match chunks.next(usize::MAX) {
                        Ok(Some(chunk)) if bytes.len() + chunk.bytes.len() > limits.frame_bytes_max => {
                            break Read::TooBig;
                        }
                        Ok(Some(chunk)) => bytes.extend_from_slice(&chunk.bytes),
                        Ok(None) => break Read::Whole,
                        Err(ReadError::Blocked) => break Read::Open,
                        Err(ReadError::Reset(_)) => break Read::Lost,
                    }
                };
                // The credit it may return goes out with the next transmit, which always follows.
                let _ = chunks.finalize();
                outcome
            }
            Err(_) => Read::Lost,
        };
        match outcome {
            Read::Open => {}
            Read::Whole => {
                stats.streams_in += 1;
                deliver(self.receiving.swap_remove(index).1.freeze());
            }
            Read::TooBig | Read::Lost => {
                stats.frames_dropped_in += 1;
                self.receiving.swap_remove(index);
                // Fails only when the peer has reset the stream itself.
                let _ = self.connection.recv_stream(stream).stop(FRAME_REFUSED);
            }
        }
    }
}

/// What reading a stream led to.
enum Read {
    Open,
    Whole,
    TooBig,
    Lost,
}

/// Writes what the stream takes of `rest`; `false` when the stream is done with, well or not.
fn write(
    connection: &mut Connection,
    stream: StreamId,
    rest: &mut Bytes,
    stats: &mut TransportStats,
) -> bool {
    let mut send = connection.send_stream(stream);
    while !rest.is_empty() {
        match send.write_chunks(std::slice::from_mut(rest)) {
            Ok(_) => {}
            Err(WriteError::Blocked) => return true,
            Err(WriteError::Stopped(_) | WriteError::ClosedStream) => {
                stats.frames_dropped_out += 1;
                // Frees the stream; fails when it is gone already.
                let _ = send.reset(FRAME_REFUSED);
                return false;
            }
        }
    }
    match send.finish() {
        Ok(()) => stats.streams_out += 1,
        Err(_) => stats.frames_dropped_out += 1,
    }
    false
}
