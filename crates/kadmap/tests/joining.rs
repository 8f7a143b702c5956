//! Coming together: addresses, order, secrets, and what does not belong.

mod support;

use std::net::UdpSocket;
use std::time::Duration;

use kadmap::{Dht, StartError};
use support::{eventually, node, swarm};

/// An address of loopback where nobody answers: bound, so that nobody else gets it, and never read.
fn dead_address() -> (UdpSocket, String) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap().to_string();
    (socket, address)
}

async fn share(writer: &Dht, reader: &Dht) {
    writer.put("shared", "value").await.unwrap();
    assert_eq!(reader.get::<String>("shared").await.unwrap().as_deref(), Some("value"));
}

#[tokio::test]
async fn any_member_will_do() {
    let first = node().spawn().await.unwrap();
    let second = node().join([first.address().to_string()]).spawn().await.unwrap();
    let third = node().join([second.address().to_string()]).spawn().await.unwrap();
    share(&third, &first).await;
    let (first, third) = (&first, &third);
    eventually("the third and the first know each other", || async move {
        third.peers().await.unwrap().len() == 2 && first.peers().await.unwrap().len() == 2
    })
    .await;
}

#[tokio::test]
async fn a_node_whose_last_contact_has_left_finds_whoever_comes_to_that_address() {
    let first = node().spawn().await.unwrap();
    let address = first.address().to_string();
    let second = node().join([address.clone()]).spawn().await.unwrap();
    first.leave().await.unwrap();
    let second = &second;
    eventually("the second is alone", || async move { second.peers().await.unwrap().is_empty() }).await;
    let third = node().listen(address).spawn().await.unwrap();
    let third = &third;
    eventually("the second and the third know each other", || async move {
        third.peers().await.unwrap().len() == 1 && second.peers().await.unwrap().len() == 1
    })
    .await;
    share(third, second).await;
}

#[tokio::test]
async fn nodes_that_start_at_once_through_each_other_form_one_swarm() {
    // The ports must be known before any node runs, so they are reserved and given back.
    let reserved: Vec<_> = (0..6).map(|_| dead_address()).collect();
    let addresses: Vec<_> = reserved.iter().map(|(_, address)| address.clone()).collect();
    drop(reserved);
    let mut starts = Vec::new();
    for (n, address) in addresses.iter().enumerate() {
        let builder = Dht::builder().listen(address.clone());
        // The first starts the swarm, each other joins by the next one, which may not run yet.
        let through = addresses[(n + 1) % addresses.len()].clone();
        let builder = if n == 0 { builder } else { builder.join([through]).join_retry(true) };
        starts.push(tokio::spawn(builder.spawn()));
    }
    let mut nodes = Vec::new();
    for start in starts {
        nodes.push(start.await.unwrap().unwrap());
    }
    let nodes = &nodes;
    eventually("everyone knows everyone", || async move {
        for node in nodes {
            if node.peers().await.unwrap().len() != 5 {
                return false;
            }
        }
        true
    })
    .await;
    share(&nodes[5], &nodes[1]).await;
}

#[tokio::test]
async fn ipv6_dual_stack_and_hostnames_work() {
    let six = Dht::builder().listen("[::1]:0").spawn().await.unwrap();
    let other_six = Dht::builder().listen("[::1]:0").join([six.address().to_string()]).spawn().await.unwrap();
    share(&six, &other_six).await;

    let dual = Dht::builder().listen("[::]:0").spawn().await.unwrap();
    let port = dual.address().port();
    let by_four = node().join([format!("127.0.0.1:{port}")]).spawn().await.unwrap();
    share(&by_four, &dual).await;
    let by_name = Dht::builder().listen("[::]:0").join([format!("localhost:{port}")]).spawn().await.unwrap();
    share(&by_name, &dual).await;
}

#[tokio::test]
async fn a_dead_address_among_good_ones_does_not_block() {
    let first = node().spawn().await.unwrap();
    let (_socket, dead) = dead_address();
    let second = node()
        .join([dead, first.address().to_string()])
        .join_timeout(Duration::from_secs(60))
        .spawn()
        .await
        .unwrap();
    share(&second, &first).await;
}

#[tokio::test]
async fn only_dead_addresses_are_a_clear_error_after_a_bounded_wait() {
    let (_socket, dead) = dead_address();
    let error =
        node().join([dead.clone()]).join_timeout(Duration::from_millis(600)).spawn().await.unwrap_err();
    assert_eq!(error.to_string(), format!("cannot join: {dead}: no answer within 0.6 s"));
}

#[tokio::test]
async fn with_retry_a_node_waits_for_its_swarm() {
    let (socket, address) = dead_address();
    let waiting = tokio::spawn(node().join([address.clone()]).join_retry(true).spawn());
    drop(socket);
    let first = Dht::builder().listen(address).spawn().await.unwrap();
    let second = waiting.await.unwrap().unwrap();
    share(&second, &first).await;
}

#[tokio::test]
async fn bad_addresses_and_settings_are_named() {
    for bad in ["nonsense", "127.0.0.1:99999", "no-such-host.invalid:1"] {
        let error = node().join([bad]).spawn().await.unwrap_err();
        assert!(error.to_string().contains(&format!("'{bad}'")), "{error}");
    }
    let error = node().replication(0).spawn().await.unwrap_err();
    assert_eq!(error.to_string(), "replication is 0: choose 1 to 64");
    let error = node().secret("short").spawn().await.unwrap_err();
    assert_eq!(error.to_string(), "secret is 5 bytes long: choose one of at least 8 bytes");
    let first = node().spawn().await.unwrap();
    let taken = first.address().to_string();
    let error = Dht::builder().listen(taken.clone()).spawn().await.unwrap_err();
    assert!(matches!(&error, StartError::Listen { reason, .. } if reason.contains(&taken)), "{error}");
}

#[tokio::test]
async fn a_wrong_secret_gets_nothing() {
    let members = swarm(2, || node().secret("the right secret")).await;
    members[0].put("colour", "red").await.unwrap();
    let address = members[0].address().to_string();
    for stranger in [node().secret("a wrong secret"), node(), node().client().secret("a wrong secret")] {
        let error = stranger.join([address.clone()]).spawn().await.unwrap_err();
        assert!(matches!(error, StartError::Join { .. }), "{error}");
    }
    for member in &members {
        assert_eq!(member.peers().await.unwrap().len(), 1, "no stranger became a contact");
    }
    let client = node().client().secret("the right secret").join([address]).spawn().await.unwrap();
    assert_eq!(client.get::<String>("colour").await.unwrap().as_deref(), Some("red"));
}

#[tokio::test]
async fn two_swarms_on_one_machine_never_mix() {
    let one = swarm(3, || node().secret("secret of swarm one")).await;
    let two = swarm(3, || node().secret("secret of swarm two")).await;
    one[0].put("colour", "red").await.unwrap();
    two[0].put("colour", "blue").await.unwrap();
    // A contact of the other swarm, told by somebody, leads nowhere.
    let stranger = one[1].remote(two[1].id(), two[1].address());
    assert!(stranger.ping("hello").await.is_err());
    assert_eq!(one[2].get::<String>("colour").await.unwrap().as_deref(), Some("red"));
    assert_eq!(two[2].get::<String>("colour").await.unwrap().as_deref(), Some("blue"));
    for node in one.iter().chain(&two) {
        assert_eq!(node.peers().await.unwrap().len(), 2);
    }
    assert_ne!(one[0].key_of("colour"), two[0].key_of("colour"), "places are keyed by the secret");
}

#[tokio::test]
async fn a_contact_whose_key_is_another_gets_no_request() {
    let nodes = swarm(2, node).await;
    let wrong = nodes[0].remote(kadmap::NodeId::of_public_key(b"somebody else"), nodes[1].address());
    assert!(wrong.status().await.is_err());
}

#[tokio::test]
async fn a_lone_node_works_and_its_records_spread() {
    let first = node().spawn().await.unwrap();
    first.put("colour", "red").await.unwrap();
    first.append("list", &1).await.unwrap();
    let second = node().join([first.address().to_string()]).spawn().await.unwrap();
    let holder = &second;
    eventually("the newcomer holds the records", || async move { holder.keys().await.unwrap().len() == 2 })
        .await;
}

#[tokio::test]
async fn a_leaving_node_leaves_its_records_behind() {
    let first = node().spawn().await.unwrap();
    first.put("colour", "red").await.unwrap();
    let second = node().join([first.address().to_string()]).spawn().await.unwrap();
    first.leave().await.unwrap();
    assert_eq!(second.get::<String>("colour").await.unwrap().as_deref(), Some("red"));
    assert!(first.put("more", &1).await.is_err(), "a node that has left says so");
    let rest = &second;
    eventually("the leaver is forgotten", || async move { rest.peers().await.unwrap().is_empty() }).await;
}
