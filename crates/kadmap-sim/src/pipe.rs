//! A node's own connection to the network, when it is a narrow one.

/// Bytes that a packet costs beside the message in it: IPv4, UDP, and QUIC's short header, number and tag.
const PACKET_BYTES: u64 = 20 + 8 + 30;
/// Time that a narrow connection's buffer holds at its rate; more is dropped. Two seconds are usual at home.
const BUFFER_US: u64 = 2_000_000;
/// Microseconds in a second.
const SECOND_US: u64 = 1_000_000;

/// One direction of a narrow connection: a queue in front of a wire.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pipe {
    bytes_per_second: u64,
    /// When all that is queued will have left.
    free_us: u64,
}

impl Pipe {
    pub(crate) fn new(bits_per_second: u64) -> Self {
        Self { bytes_per_second: (bits_per_second / 8).max(1), free_us: 0 }
    }

    /// When a message that is handed in now has left; `None` when the queue is full and it is dropped.
    pub(crate) fn pass(&mut self, now_us: u64, message_bytes: u64) -> Option<u64> {
        let starts_us = self.free_us.max(now_us);
        if starts_us - now_us > BUFFER_US {
            return None;
        }
        let takes_us = (message_bytes + PACKET_BYTES) * SECOND_US / self.bytes_per_second;
        self.free_us = starts_us + takes_us;
        Some(self.free_us)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_queue_behind_each_other_and_a_full_queue_drops() {
        let mut pipe = Pipe::new(8_000);
        assert_eq!(pipe.pass(0, 942), Some(SECOND_US));
        assert_eq!(pipe.pass(0, 942), Some(2 * SECOND_US));
        assert_eq!(pipe.pass(0, 942), Some(3 * SECOND_US));
        assert_eq!(pipe.pass(0, 942), None);
        assert_eq!(pipe.pass(3 * SECOND_US, 442), Some(3 * SECOND_US + SECOND_US / 2));
    }
}
