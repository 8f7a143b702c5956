//! Real nodes on loopback for the tests of this crate.

use std::future::Future;
use std::time::Duration;

use kadmap::{Dht, DhtBuilder};

/// A bound on every wait for a condition: generous, because the machines are shared.
const PATIENCE: Duration = Duration::from_secs(30);
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// A node on a free port of the IPv4 loopback.
pub(crate) fn node() -> DhtBuilder {
    Dht::builder().listen("127.0.0.1:0")
}

/// A swarm of `count` nodes that all join through the first.
pub(crate) async fn swarm(count: usize, settings: impl Fn() -> DhtBuilder) -> Vec<Dht> {
    let mut nodes = vec![settings().spawn().await.unwrap()];
    let first = nodes[0].address().to_string();
    for _ in 1..count {
        nodes.push(settings().join([first.clone()]).spawn().await.unwrap());
    }
    let nodes_ref = &nodes;
    eventually("everyone knows everyone", || async move {
        for node in nodes_ref {
            if node.peers().await.unwrap().len() + 1 != count {
                return false;
            }
        }
        true
    })
    .await;
    nodes
}

/// Waits until a condition holds.
pub(crate) async fn eventually<F: Future<Output = bool>>(what: &str, condition: impl Fn() -> F) {
    let wait = async {
        while !condition().await {
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, wait).await.is_ok(), "not within {PATIENCE:?}: {what}");
}
