//! The settings of QUIC itself, each with its reason.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use quinn_proto::congestion::CubicConfig;
use quinn_proto::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn_proto::crypto::{CryptoError, HmacKey};
use quinn_proto::{
    AckFrequencyConfig, ClientConfig, EndpointConfig, HashedConnectionIdGenerator, IdleTimeout,
    MtuDiscoveryConfig, ServerConfig, TransportConfig as QuicConfig, VarInt,
};

use super::{BindError, TransportConfig};
use crate::identity::Credentials;

/// The largest UDP payload sent or accepted: a jumbo frame of 9000 bytes less IPv6 and UDP headers. Many frames share
/// one packet then, where the path carries it; over loopback every path does.
const PACKET_BYTES_MAX: u16 = 8952;
/// Path MTU discovery ends when the next step would gain less than this: an Ethernet path is found to within 10%.
const MTU_STEP_MIN: u16 = 128;
/// Streams a peer may have open at once, one per frame too big for a datagram. quinn allocates per allowed stream.
const STREAMS_MAX: u32 = 16;
/// Bytes a peer may have under way on one stream: 1 MiB is 1 GB/s at 1 ms and 10 MB/s at 100 ms.
const STREAM_WINDOW: u32 = 1024 * 1024;
/// Bytes a peer may have under way on all streams: bounds what out-of-order data can hold of our memory.
const CONNECTION_WINDOW: u32 = 2 * 1024 * 1024;
/// Bytes of stream data we keep per connection until they are acknowledged.
const SEND_WINDOW: u64 = 2 * 1024 * 1024;
/// Bytes of datagrams received and not yet read: they are read after every packet, so this bounds what may come
/// before the handshake is complete.
const DATAGRAM_RECEIVE_BYTES: usize = 256 * 1024;
/// Bytes of datagrams that may wait for the congestion window; the oldest is dropped for the newest past it.
const DATAGRAM_SEND_BYTES: usize = 1024 * 1024;
/// The round trip assumed before one was measured: the first retransmission comes after three of them. RFC 9002
/// says 333 ms for the whole internet; a peer whose round trip is longer costs one spare packet.
const INITIAL_RTT: Duration = Duration::from_millis(50);
/// Bytes sent before the first acknowledgement: more than the ten packets of RFC 9002 because a handshake usually
/// ends with a burst of waiting requests, and they are paced over the round trip.
const INITIAL_WINDOW: u64 = 64 * 1024;
/// The same over loopback, where nothing between the two sockets can congest.
const INITIAL_WINDOW_LOOPBACK: u64 = 512 * 1024;
/// Packets a peer may receive before it must acknowledge them at once: requests and replies carry their own
/// acknowledgements, so fewer packets exist for nothing else.
const ACK_THRESHOLD: u32 = 8;
/// The least time between two stateless resets. They are smaller than what provokes them; this bounds the rest, and
/// a node that restarts has to answer hundreds of peers soon.
const RESET_INTERVAL: Duration = Duration::from_millis(1);

/// quinn's settings for the endpoint and for each kind of connection.
pub(super) struct Quic {
    pub(super) endpoint: Arc<EndpointConfig>,
    server: [Arc<ServerConfig>; 2],
    client: [ClientConfig; 2],
}

impl Quic {
    pub(super) fn new(config: &TransportConfig, credentials: &Credentials) -> Result<Self, BindError> {
        let idle_timeout = IdleTimeout::try_from(config.idle_timeout)
            .map_err(|_| BindError::IdleTimeout { idle_timeout: config.idle_timeout })?;
        let settings = [false, true].map(|loopback| Arc::new(connection_settings(idle_timeout, loopback)));
        Ok(Self {
            endpoint: Arc::new(endpoint_settings(credentials)),
            server: settings.clone().map(|settings| Arc::new(server_settings(credentials, settings))),
            client: settings.map(|settings| client_settings(credentials, settings)),
        })
    }

    /// The settings for a connection that `from` begins.
    pub(super) fn server(&self, from: SocketAddr) -> &Arc<ServerConfig> {
        &self.server[usize::from(from.ip().is_loopback())]
    }

    /// The settings for a connection that we begin.
    pub(super) fn client(&self, to: SocketAddr) -> ClientConfig {
        self.client[usize::from(to.ip().is_loopback())].clone()
    }
}

fn connection_settings(idle_timeout: IdleTimeout, loopback: bool) -> QuicConfig {
    let mut mtu = MtuDiscoveryConfig::default();
    mtu.upper_bound(PACKET_BYTES_MAX).minimum_change(MTU_STEP_MIN);
    let mut acks = AckFrequencyConfig::default();
    acks.ack_eliciting_threshold(VarInt::from_u32(ACK_THRESHOLD));
    let mut congestion = CubicConfig::default();
    congestion.initial_window(if loopback { INITIAL_WINDOW_LOOPBACK } else { INITIAL_WINDOW });

    let mut settings = QuicConfig::default();
    settings
        .max_idle_timeout(Some(idle_timeout))
        .keep_alive_interval(None)
        .max_concurrent_bidi_streams(VarInt::from_u32(0))
        .max_concurrent_uni_streams(VarInt::from_u32(STREAMS_MAX))
        .stream_receive_window(VarInt::from_u32(STREAM_WINDOW))
        .receive_window(VarInt::from_u32(CONNECTION_WINDOW))
        .send_window(SEND_WINDOW)
        .datagram_receive_buffer_size(Some(DATAGRAM_RECEIVE_BYTES))
        .datagram_send_buffer_size(DATAGRAM_SEND_BYTES)
        .initial_rtt(INITIAL_RTT)
        .mtu_discovery_config(Some(mtu))
        .ack_frequency_config(Some(acks))
        .congestion_controller_factory(Arc::new(congestion));
    if loopback {
        // The path is known, so nothing is probed; discovery stays on to notice if it is not what it seems.
        settings.initial_mtu(PACKET_BYTES_MAX);
    }
    settings
}

fn endpoint_settings(credentials: &Credentials) -> EndpointConfig {
    let mut endpoint = EndpointConfig::new(Arc::new(ResetKey(*credentials.reset_key())));
    // Both keys outlive a restart, or the new process would take a dead connection's packets for noise.
    let key = credentials.connection_id_key();
    endpoint.cid_generator(move || Box::new(HashedConnectionIdGenerator::from_key(key)));
    endpoint.min_reset_interval(RESET_INTERVAL);
    endpoint.max_udp_payload_size(PACKET_BYTES_MAX).expect("the constant lies between 1200 and 65527");
    endpoint
}

fn server_settings(credentials: &Credentials, settings: Arc<QuicConfig>) -> ServerConfig {
    let tls = QuicServerConfig::try_from(Arc::clone(credentials.server()))
        .expect("our provider has AES-128-GCM, which QUIC's first packets use");
    let mut server = ServerConfig::with_crypto(Arc::new(tls));
    server.transport_config(settings);
    server
}

fn client_settings(credentials: &Credentials, settings: Arc<QuicConfig>) -> ClientConfig {
    let tls = QuicClientConfig::try_from(Arc::clone(credentials.client()))
        .expect("our provider has AES-128-GCM, which QUIC's first packets use");
    let mut client = ClientConfig::new(Arc::new(tls));
    client.transport_config(settings);
    client
}

/// The key that makes stateless reset tokens, with BLAKE3 as its keyed hash.
struct ResetKey([u8; 32]);

impl HmacKey for ResetKey {
    fn sign(&self, data: &[u8], signature_out: &mut [u8]) {
        let hash = blake3::keyed_hash(&self.0, data);
        for (out, byte) in signature_out.iter_mut().zip(hash.as_bytes()) {
            *out = *byte;
        }
    }

    fn signature_len(&self) -> usize {
        blake3::OUT_LEN
    }

    fn verify(&self, data: &[u8], signature: &[u8]) -> Result<(), CryptoError> {
        // `Hash` compares in constant time.
        if blake3::keyed_hash(&self.0, data) == *signature { Ok(()) } else { Err(CryptoError) }
    }
}
