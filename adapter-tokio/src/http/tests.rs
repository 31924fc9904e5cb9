//! What only a client with names of its own can show: a host whose first address leads nowhere.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test reports")]

use super::{Http, from_settings};
use crate::{Transport as _, now};
use device_flow_core::{Action, Client, DeviceFlow, Machine, Provider};
use device_flow_testkit::black_hole::BlackHole;
use device_flow_testkit::loopback::{Loopback, sign_in};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

const A_MINUTE: Duration = Duration::from_secs(60);

// C17.
#[tokio::test]
async fn c17_where_ipv6_leads_nowhere_ipv4_is_tried_beside_it() {
    let server = Loopback::http(sign_in(&[]));
    // Without IPv6 nothing can be shown; `.ci/run` tells of it.
    let Some(hole) = BlackHole::at(SocketAddr::from((Ipv6Addr::LOCALHOST, server.port()))) else { return };
    let addresses = [hole.address(), SocketAddr::from((Ipv4Addr::LOCALHOST, server.port()))];
    let http = from_settings(Http::builder().connect_timeout(A_MINUTE).timeout(A_MINUTE).check().unwrap(), |client| {
        client.resolve_to_addrs("localhost", &addresses)
    })
    .unwrap();
    let base = format!("http://localhost:{}", server.port());
    let provider = Provider::endpoints(format!("{base}/device"), format!("{base}/token"));
    let client = Client::builder(provider, "client").allow_http_loopback().build().unwrap();
    let Action::SendRequest(outgoing) = DeviceFlow::new(client, [7; 32]).next_action(now()) else { panic!() };

    let start = Instant::now();
    let answer = http.send(outgoing.request).await;
    let took = start.elapsed();
    assert_eq!(answer.map(|answer| answer.as_response().status()), Ok(200));
    // Not at once, which shows that the first address was tried; and long before that attempt is given up.
    assert!((Duration::from_millis(250)..A_MINUTE / 2).contains(&took), "{took:?}");
    assert_eq!(server.requests().len(), 1);
}
