//! Who takes its time, and who takes too many connections.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tollgate_collector::Settings;

use crate::harness::{Answer, Client, Running, post_of, request_bytes, soon};

/// Sends the pieces with the pauses between them and gives what came back before the end of the connection.
async fn trickle(running: &Running, pieces: &[&[u8]], pause: Duration) -> Option<Answer> {
    let mut client = Client::connect(running.wire).await;
    for piece in pieces {
        client.send(piece).await;
        tokio::time::sleep(pause).await;
    }
    client.answer_or_end().await
}

#[tokio::test]
async fn who_never_finishes_a_head_is_closed() {
    let running = Running::start().await;
    let head = request_bytes("POST", "/metrics", &[], b"");
    let bytes: Vec<&[u8]> = head.chunks(1).collect();
    let pause = Duration::from_millis(40); // Each byte is in time; the head as a whole is not.
    let cases: [&[&[u8]]; 6] = [
        &[],
        &[b"P"],
        &[b"POST /metrics HTTP/1.1\r\nhost: c\r\nx-a: "],
        &[b"PRI"],
        &[b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"],
        &bytes[..bytes.len() - 1],
    ];
    for (n, pieces) in cases.iter().enumerate() {
        let answer = soon(trickle(&running, pieces, pause)).await;
        // hyper closes without a word, or with 408.
        assert!(answer.as_ref().is_none_or(|answer| answer.status == 408), "case {n}: {answer:?}");
    }
    running.wait_for_metric(r#"tollgate_connections{listener="wire"}"#, 0.0).await;
}

#[tokio::test]
async fn who_never_finishes_a_body_is_told_and_closed() {
    let running = Running::start().await;
    let post = post_of("model", &["1"]);
    let announced = format!("POST /metrics HTTP/1.1\r\nhost: c\r\ncontent-length: {}\r\n\r\n", post.len());
    let chunked = b"POST /metrics HTTP/1.1\r\nhost: c\r\ntransfer-encoding: chunked\r\n\r\n";
    let silent: &[&[u8]] = &[announced.as_bytes()];
    let halfway: &[&[u8]] = &[announced.as_bytes(), &post[..100]];
    let half_a_chunk: &[&[u8]] = &[chunked, b"40\r\n[{"];
    for pieces in [silent, halfway, half_a_chunk] {
        let answer = trickle(&running, pieces, Duration::from_millis(1)).await.expect("an answer");
        answer.problem(503, "slow-body");
        assert_eq!(answer.header("retry-after"), Some("5"));
        assert_eq!(answer.header("connection"), Some("close"));
    }
    let bytes: Vec<&[u8]> = std::iter::once(announced.as_bytes()).chain(post.chunks(4)).collect();
    let answer = trickle(&running, &bytes, Duration::from_millis(30)).await;
    answer.expect("an answer").problem(503, "slow-body");
    running.wait_for_metric("tollgate_in_flight_bytes", 0.0).await;
    running.wait_for_metric(r#"tollgate_connections{listener="wire"}"#, 0.0).await;
    assert_eq!(running.counts().n_batches, 0);
}

#[tokio::test]
async fn who_idles_after_a_post_is_closed() {
    let running = Running::start().await;
    let mut client = Client::connect(running.wire).await;
    assert_eq!(client.request("POST", "/metrics", &[], &post_of("model", &["1"])).await.status, 200);
    assert!(client.answer_or_end().await.is_none());
    running.wait_for_metric(r#"tollgate_connections{listener="wire"}"#, 0.0).await;
}

#[tokio::test]
async fn who_does_not_read_its_answers_is_closed() {
    let running = Running::with(Settings { write_timeout_ms: 200, ..Settings::for_testing() }).await;
    let mut client = Client::connect(running.wire).await;
    let uuids: Vec<String> = (0..100).map(|n| format!("{n:01000}")).collect();
    let uuids: Vec<&str> = uuids.iter().map(String::as_str).collect();
    let request = request_bytes("POST", "/metrics", &[], &post_of("model", &uuids));
    // Answers of 100 kB each, pipelined and never read: at some point neither side's buffers take more.
    let sending = async {
        for _ in 0..1_000 {
            client.send(&request).await;
        }
    };
    let closed = async {
        running.wait_for_metric(r#"tollgate_connections{listener="wire"}"#, 1.0).await;
        running.wait_for_metric(r#"tollgate_connections{listener="wire"}"#, 0.0).await;
    };
    tokio::select! {
        () = closed => {}
        () = async { sending.await; std::future::pending().await } => {}
    }
}

/// A collector that takes large posts and gives their answers this long, and a client of it that has posted what is answered
/// by some 10 MB: more than the kernel buffers for a client with a small buffer.
async fn with_a_long_answer(write_timeout_ms: u64) -> (Running, TcpStream, usize) {
    let Settings { listen, admin, .. } = Settings::for_testing();
    let settings = Settings { listen, admin, write_timeout_ms, ..Settings::default() };
    let running = Running::with(settings).await;
    let uuids: Vec<String> = (0..20_000).map(|n| format!("{n:0500}")).collect();
    let uuids: Vec<&str> = uuids.iter().map(String::as_str).collect();
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(64 << 10).expect("a small buffer");
    let mut stream = soon(socket.connect(running.wire)).await.expect("connect");
    soon(stream.write_all(&request_bytes("POST", "/metrics", &[], &post_of("model", &uuids))))
        .await
        .expect("the post is taken");
    let status = r#"tollgate_requests_total{listener="wire",route="/metrics",status="200"}"#;
    running.wait_for_metric(status, 1.0).await;
    (running, stream, uuids.len() * 503)
}

#[tokio::test]
async fn an_answer_that_is_not_read_counts_as_held() {
    let (running, stream, n_bytes_min) = with_a_long_answer(60_000).await;
    assert_eq!(running.counts().n_batches, 20_000);
    let in_flight = running.metric("tollgate_in_flight_bytes").await;
    let n_bytes_min = n_bytes_min as f64;
    assert!(n_bytes_min < in_flight && in_flight < n_bytes_min + 1_000.0, "{in_flight}");
    drop(stream);
    running.wait_for_metric("tollgate_in_flight_bytes", 0.0).await;
}

#[tokio::test]
async fn who_reads_an_answer_too_slowly_is_closed_though_it_never_stops() {
    let (running, mut stream, n_bytes_min) = with_a_long_answer(1_500).await;
    let mut n_read = 0;
    let mut piece = vec![0; 64 << 10];
    // Each write is in time, as the kernel takes more every second or so; the answer as a whole is not, at 1.6 MB/s.
    while let Ok(n @ 1..) = soon(stream.read(&mut piece)).await {
        n_read += n;
        tokio::time::sleep(Duration::from_millis(40)).await;
    }
    assert!(n_read < n_bytes_min, "{n_read} bytes");
    running.wait_for_metric("tollgate_in_flight_bytes", 0.0).await;
    running.wait_for_metric(r#"tollgate_connections{listener="wire"}"#, 0.0).await;
}

#[tokio::test]
async fn silent_sockets_delay_others_no_longer_than_the_limit() {
    let settings = Settings { connections_max: 8, header_timeout_ms: 500, ..Settings::for_testing() };
    let running = Running::with(settings).await;
    let mut silent = Vec::new();
    for _ in 0..24 {
        silent.push(Client::connect(running.wire).await);
    }
    running.wait_for_metric(r#"tollgate_connections{listener="wire"}"#, 8.0).await;
    let started = Instant::now();
    assert_eq!(running.post("/metrics", post_of("model", &["1"])).await.acks("model"), ["1"]);
    assert!(Duration::from_millis(250) < started.elapsed(), "it waited for a slot: all were taken");
    assert!(running.get("/readyz").await.status == 200, "operators have slots of their own");
}

#[tokio::test]
async fn one_address_has_no_more_than_its_share_of_the_connections() {
    let settings =
        Settings { address_connections_max: 3, header_timeout_ms: 60_000, ..Settings::for_testing() };
    let running = Running::with(settings).await;
    let mut silent = Vec::new();
    for _ in 0..3 {
        silent.push(Client::connect(running.wire).await);
    }
    running.wait_for_metric(r#"tollgate_connections{listener="wire"}"#, 3.0).await;
    let mut one_more = Client::connect(running.wire).await;
    assert!(one_more.answer_or_end().await.is_none(), "closed unanswered");
    running.wait_for_metric("tollgate_connection_refusals_total", 1.0).await;

    let mut other = Client::connect_from([127, 0, 0, 2], running.wire).await;
    let answer = other.request("POST", "/metrics", &[], &post_of("model", &["1"])).await;
    assert_eq!(answer.acks("model"), ["1"], "another address has its own share");
    assert_eq!(running.metric(r#"tollgate_connections{listener="wire"}"#).await, 4.0);

    silent.pop();
    running.wait_for_metric(r#"tollgate_connections{listener="wire"}"#, 3.0).await;
    assert_eq!(running.post("/metrics", post_of("model", &["2"])).await.acks("model"), ["2"]);
}

#[tokio::test]
async fn silent_sockets_do_not_hold_up_a_shutdown() {
    let settings =
        Settings { header_timeout_ms: 60_000, drain_timeout_ms: 60_000, ..Settings::for_testing() };
    let running = Running::with(settings).await;
    let _silent = Client::connect(running.wire).await;
    let mut half_a_head = Client::connect(running.wire).await;
    half_a_head.send(b"POST /metr").await;
    let mut idle = Client::connect(running.wire).await;
    assert_eq!(idle.request("POST", "/metrics", &[], &post_of("model", &["1"])).await.status, 200);
    running.wait_for_metric(r#"tollgate_connections{listener="wire"}"#, 3.0).await;
    running.stop().await.expect("a clean end, long before either timeout");
}
