//! The limits of the demo server: what a slow client, a greedy peer and a page of another site can not do (case S04).

use crate::demo_server::{A_SECOND, Demo, text};
use crate::support::StoppedClock;
use device_flow_cli::demo::Options;
use reqwest::Method;
use reqwest::header::COOKIE;
use std::io::{ErrorKind, Read as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

// S04.
#[tokio::test]
async fn s04_a_web_page_cannot_fill_the_demo_nor_embed_it() {
    let demo = Demo::start().await;
    let from = |headers: &[(&str, &str)]| {
        let mut request = demo.post("/device_authorization", "client_id=tv");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        async { request.send().await.unwrap().status().as_u16() }
    };
    for headers in [
        [("origin", "https://evil.example")],
        [("origin", "null")],
        [("origin", "http://127.0.0.1:1")],
        [("sec-fetch-site", "cross-site")],
        [("sec-fetch-site", "same-site")],
    ] {
        assert_eq!(from(&headers).await, 403, "{headers:?}");
    }
    assert_eq!(
        demo.get("/live").await.text().await.unwrap().matches("No sign-in yet").count(),
        1,
        "nothing came of it"
    );
    assert_eq!(from(&[("sec-fetch-mode", "cors")]).await, 200, "what Node.js sends of its own accord");
    assert_eq!(from(&[("origin", demo.server.base_url())]).await, 200);

    let get = |headers: &[(&str, &str)]| {
        let mut request = demo.request(Method::GET, "/device?user_code=AAAA-AAAA");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        async { request.send().await.unwrap().status().as_u16() }
    };
    let foreign = ("sec-fetch-site", "cross-site");
    assert_eq!(get(&[foreign, ("sec-fetch-mode", "no-cors"), ("sec-fetch-dest", "image")]).await, 403);
    assert_eq!(get(&[foreign, ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "iframe")]).await, 403);
    assert_eq!(get(&[foreign, ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")]).await, 404, "a link");
    assert_eq!(get(&[("sec-fetch-site", "none"), ("sec-fetch-mode", "navigate")]).await, 404, "typed");
}

// S04: a page can make a browser open addresses without end.
#[tokio::test]
async fn s04_addresses_with_wrong_codes_do_not_lock_the_form_of_the_demo() {
    let demo = Demo::start().await;
    let begun = demo.begin("").await;
    let code = text(&begun, "user_code");
    for _ in 0..10 {
        assert_eq!(demo.get("/device?user_code=AAAA-AAAA").await.status(), 404);
    }
    let address = format!("/device?user_code={code}");
    let page = demo.get(&address).await;
    assert_eq!(page.status(), 200);
    let page = page.text().await.unwrap();
    assert!(page.contains(&format!("value=\"{code}\"")) && !page.contains("Approve"), "filled in, not asked: {page}");
    let (cookie, token) = demo.open(&address).await;
    let look_up = demo.post("/device", &format!("form_token={token}&user_code={code}")).header(COOKIE, &cookie);
    let page = look_up.send().await.unwrap().text().await.unwrap();
    assert!(page.contains("Approve"), "{page}");
}

/// A connection on which the test decides every byte.
async fn connection(demo: &Demo) -> tokio::net::TcpStream {
    tokio::net::TcpStream::connect(demo.server.base_url().trim_start_matches("http://")).await.unwrap()
}

/// What comes until the server closes the connection, which takes no minute. In real time, whatever the clock of the
/// test.
async fn rest(stream: tokio::net::TcpStream) -> String {
    let mut stream = stream.into_std().unwrap();
    stream.set_nonblocking(false).unwrap();
    stream.set_read_timeout(Some(60 * A_SECOND)).unwrap();
    let read = move || {
        let mut rest = String::new();
        match stream.read_to_string(&mut rest) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => panic!("the connection stays open: {rest}"),
            // A reset is an end, too.
            Ok(_) | Err(_) => rest,
        }
    };
    tokio::task::spawn_blocking(read).await.unwrap()
}

// S04.
#[tokio::test]
async fn s04_the_demo_closes_connections_whose_head_or_body_does_not_come() {
    let options = Options { connection_patience: 30 * A_SECOND, ..Options::default() };
    let demo = Demo { _clock: Some(StoppedClock::stop()), ..Demo::in_real_time(options).await };
    let head = format!("POST /token HTTP/1.1\r\nhost: {}\r\n", demo.server.base_url().trim_start_matches("http://"));
    let mut slow = connection(&demo).await;
    slow.write_all(head.as_bytes()).await.unwrap();
    let silent = connection(&demo).await;
    let mut without_body = connection(&demo).await;
    let whole = format!("{head}content-type: application/x-www-form-urlencoded\r\ncontent-length: 9\r\n\r\nclient");
    without_body.write_all(whole.as_bytes()).await.unwrap();
    while demo.server.requests() < 1 || demo.server.connections() < 3 {
        tokio::task::yield_now().await;
    }
    tokio::time::advance(11 * A_SECOND).await;
    assert!(rest(without_body).await.starts_with("HTTP/1.1 408 "), "the body had 10 s");
    let mut byte = [0];
    assert_eq!(slow.try_read(&mut byte).unwrap_err().kind(), ErrorKind::WouldBlock, "a head has 30 s");
    tokio::time::advance(20 * A_SECOND).await;
    for stream in [slow, silent] {
        rest(stream).await;
    }
}

// S04: 256 of one peer.
#[tokio::test]
async fn s04_the_demo_has_room_for_other_peers_when_one_takes_all_it_can() {
    let demo = Demo::start().await;
    let request =
        format!("GET /style.css HTTP/1.1\r\nhost: {}\r\n\r\n", demo.server.base_url().trim_start_matches("http://"));
    let mut open = vec![];
    for _ in 0..256 {
        open.push(connection(&demo).await);
    }
    let last = open.last_mut().unwrap();
    last.write_all(request.as_bytes()).await.unwrap();
    let mut start = [0; 12];
    last.read_exact(&mut start).await.unwrap();
    assert_eq!(&start, b"HTTP/1.1 200");
    assert_eq!(rest(connection(&demo).await).await, "", "one too many is closed at once");

    if cfg!(target_os = "linux") {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.2:0".parse().unwrap()).unwrap();
        let address = demo.server.base_url().trim_start_matches("http://").parse().unwrap();
        let mut other = socket.connect(address).await.unwrap();
        other.write_all(request.as_bytes()).await.unwrap();
        other.read_exact(&mut start).await.unwrap();
        assert_eq!(&start, b"HTTP/1.1 200", "another peer");
    }
    drop(open);
    while demo.http.get(demo.server.base_url()).send().await.is_err() {
        tokio::task::yield_now().await;
    }
}
