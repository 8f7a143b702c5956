//! Packet buffers, shared by all nodes of the process.
//!
//! A receive buffer is 2 MiB, because the kernel may fill every message of a batch with 64 KiB of coalesced packets.
//! A process may run a hundred nodes, but only as many drain their sockets at once as it has threads.

use std::sync::Mutex;

/// Bytes of one message of a batch: no UDP datagram and no coalesced run of them is larger.
pub(super) const MESSAGE_BYTES_MAX: usize = 64 * 1024;

/// Bytes of one receive buffer.
const RECEIVE_BYTES: usize = MESSAGE_BYTES_MAX * quinn_udp::BATCH_SIZE;

/// Idle buffers kept: more threads than this rarely drain at the same instant, and the rest is freed.
const IDLE_BUFFERS_MAX: usize = 8;

static RECEIVE: Pool = Pool::new();
static SEND: Pool = Pool::new();

/// A stack of buffers of one kind.
struct Pool(Mutex<Vec<Vec<u8>>>);

impl Pool {
    const fn new() -> Self {
        Self(Mutex::new(Vec::new()))
    }

    fn take(&self) -> Vec<u8> {
        // A thread that panicked while it held the lock left a whole stack behind: it only pushes and pops.
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).pop().unwrap_or_default()
    }

    fn give_back(&self, buffer: Vec<u8>) {
        let mut idle = self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if idle.len() < IDLE_BUFFERS_MAX {
            idle.push(buffer);
        }
    }
}

/// Lends a buffer of [`MESSAGE_BYTES_MAX`] times the batch size, with arbitrary contents.
pub(super) fn with_receive_buffer<T>(use_it: impl FnOnce(&mut [u8]) -> T) -> T {
    let mut buffer = RECEIVE.take();
    // Zeroed pages come from the kernel untouched, so what is never received costs no memory.
    if buffer.is_empty() {
        buffer = vec![0; RECEIVE_BYTES];
    }
    let result = use_it(&mut buffer);
    RECEIVE.give_back(buffer);
    result
}

/// Lends an empty buffer to write packets into.
pub(super) fn with_send_buffer<T>(use_it: impl FnOnce(&mut Vec<u8>) -> T) -> T {
    let mut buffer = SEND.take();
    buffer.clear();
    let result = use_it(&mut buffer);
    SEND.give_back(buffer);
    result
}
