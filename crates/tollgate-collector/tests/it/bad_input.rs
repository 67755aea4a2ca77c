//! What nobody should send: told precisely, and nothing else disturbed.

use std::io::Read;

use serde_json::{Value, json};
use tollgate_collector::Settings;
use tollgate_ledger::{Counts, Page};

use crate::harness::{Client, Running, batch, post_of};

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut compressed = Vec::new();
    let mut encoder = flate2::read::GzEncoder::new(bytes, flate2::Compression::best());
    encoder.read_to_end(&mut compressed).expect("compress");
    compressed
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::stream::encode_all(bytes, 3).expect("compress")
}

/// The default limits on free ports.
fn real_limits() -> Settings {
    let Settings { listen, admin, .. } = Settings::for_testing();
    Settings { listen, admin, ..Settings::default() }
}

/// A post after all that went wrong: everything must be as if nothing had been.
async fn check_undisturbed(running: &Running) {
    assert_eq!(running.counts(), Counts::default());
    assert_eq!(running.post("/metrics", post_of("model", &["1"])).await.acks("model"), ["1"]);
    running.wait_for_metric("tollgate_in_flight_bytes", 0.0).await;
}

#[tokio::test]
async fn a_document_cut_anywhere_is_refused_whole() {
    let running = Running::start().await;
    let document = json!([batch("model", "1", "a/0", "1"), batch("model", "2", "a/1", "<é>")]).to_string();
    let mut client = Client::connect(running.wire).await;
    for n_bytes in 0..document.len() {
        let cut = &document.as_bytes()[..n_bytes];
        let answer = client.request("POST", "/metrics", &[], cut).await;
        let problem = answer.problem(400, "bad-json");
        // A cut within a character is found where the character begins.
        let offset = problem["offset"].as_u64().expect("an offset") as usize;
        assert!(n_bytes.saturating_sub(3) <= offset && offset <= n_bytes, "{offset} of {n_bytes}: {problem}");
    }
    check_undisturbed(&running).await;
}

#[tokio::test]
async fn what_is_not_a_list_of_batches_is_refused_with_its_place() {
    let running = Running::start().await;
    let deep = "[".repeat(200_000);
    let deep_in_a_batch = format!(r#"[{{"x":{}"#, "[".repeat(200_000));
    let cases: [(&[u8], u64); 22] = [
        (b"", 0),
        (b" \n", 2),
        (b"{}", 0),
        (br#"{"uuid":"1"}"#, 0),
        (b"\"[]\"", 0),
        (b"7", 0),
        (b"true", 0),
        (b"nul", 0),
        (b"nulll", 4),
        (b"NULL", 0),
        (b"[] []", 3),
        (b"[]x", 2),
        (b"[,]", 1),
        (b"[{},]", 4),
        (b"[{}{}]", 3),
        (b"[{'uuid':1}]", 2),
        (b"[{\"uuid\":\"\n\"}]", 10),
        (b"[{\"uuid\":\"\\x\"}]", 11),
        (b"\xef\xbb\xbf[]", 0),
        (b"[\0\0\0]\0", 1),
        (deep.as_bytes(), 10_000),
        (deep_in_a_batch.as_bytes(), 10_004),
    ];
    let mut client = Client::connect(running.wire).await;
    for (body, offset) in cases {
        let shown = String::from_utf8_lossy(&body[..body.len().min(40)]).into_owned();
        for path in ["/metrics", "/users/metrics"] {
            let problem = client.request("POST", path, &[], body).await.problem(400, "bad-json");
            assert_eq!(problem["offset"], offset, "{shown:?}: {problem}");
        }
    }
    check_undisturbed(&running).await;
}

#[tokio::test]
async fn a_problem_has_the_exact_bytes() {
    let running = Running::start().await;
    let answer = running.post("/metrics", r#"[{"uuid":"1"},"#).await;
    let detail = answer.json()["detail"].as_str().expect("text").to_owned();
    assert!(detail.starts_with("Failed to decode the document at byte 14: expected a"), "{detail}");
    assert!(detail.ends_with(". Nothing of it was recorded."), "{detail}");
    let expected = r#"{"type":"urn:tollgate:problem:bad-json","title":"The body is not a list of batches","#
        .to_owned()
        + &format!(r#""status":400,"detail":"{detail}","offset":14}}"#);
    assert_eq!(answer.text(), expected);

    let answer = running.post("/nothing", "[]").await;
    assert_eq!(
        answer.text(),
        r#"{"type":"urn:tollgate:problem:no-such-path","title":"There is nothing at this path","status":404,"#
            .to_owned() + r#""detail":"POST batches to /metrics."}"#
    );
}

/// Elements that must not count, whether they are acknowledged, and the code of their reason.
fn bad_elements() -> Vec<(Value, bool, &'static str)> {
    let mut no_uuid = batch("model", "bad", "bad/0", "1");
    no_uuid["uuid"] = json!("");
    let mut no_model = batch("model", "bad", "bad/0", "1");
    no_model["env-uuid"] = Value::Null;
    let mut wrong_type = batch("model", "bad", "bad/0", "1");
    wrong_type["metrics"] = json!({"key": "pings"});
    let mut wrong_time = batch("model", "bad", "bad/0", "1");
    wrong_time["created"] = json!("yesterday");
    let mut wrong_credentials = batch("model", "bad", "bad/0", "1");
    wrong_credentials["credentials"] = json!("not base64!");
    vec![
        (json!(null), false, "missing-uuid"),
        (json!({}), false, "missing-uuid"),
        (json!(7), false, "undecodable"),
        (json!("batch"), false, "undecodable"),
        (json!([1, 2]), false, "undecodable"),
        (no_uuid, false, "missing-uuid"),
        (no_model, false, "missing-model-uuid"),
        (wrong_type, true, "undecodable"),
        (wrong_time, true, "undecodable"),
        (wrong_credentials, true, "undecodable"),
        (batch("model", "bad", "bad/0", "NaN"), true, "value"),
        (batch("model", "bad", "bad/0", "-1"), true, "value"),
        (batch("model", "bad", "bad/0", "1e999"), true, "value"),
        (batch("model", "bad", "bad/0", "five"), true, "value"),
        (batch("model", "bad", "bad/0", &"9".repeat(31)), true, "value"),
    ]
}

#[tokio::test]
async fn one_bad_element_never_harms_its_neighbours() {
    for (bad, is_acknowledged, code) in bad_elements() {
        for position in 0..5 {
            let running = Running::start().await;
            let uuids: Vec<String> = (0..5).map(|n| format!("{position}-{n}")).collect();
            let mut elements: Vec<Value> =
                uuids.iter().map(|uuid| batch("model", uuid, "good/0", "0.1")).collect();
            elements[position] = bad.clone();
            let mut expected = uuids.clone();
            if is_acknowledged {
                expected[position] = "bad".to_owned();
            } else {
                expected.remove(position);
            }

            let answer = running.post("/metrics", Value::from(elements).to_string()).await;
            assert_eq!(answer.acks("model"), expected, "{bad} at {position}");
            let units = &answer.json()["env-responses"]["model"]["unit-statuses"];
            assert_eq!(units["good/0"], json!({"status": "GREEN", "info": ""}), "{bad} at {position}");
            if is_acknowledged {
                assert_eq!(units["bad/0"]["status"], "AMBER", "{bad} at {position}");
            }

            let reader = running.ledger.open().reader;
            let counts = Counts { n_batches: 4, n_metrics: 4, n_models: 1, n_quarantined: 1 };
            assert_eq!(reader.counts(), counts, "{bad} at {position}");
            let model = reader.model("model").expect("read").expect("known");
            assert_eq!(model.meters[0].sum, "0.4", "{bad} at {position}");
            let quarantine = reader.quarantine(&Page { cursor: None, limit: 9 }).expect("read");
            assert_eq!(quarantine[0].code, code, "{bad}");
            assert_eq!(quarantine[0].body, bad.to_string());
        }
    }
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_by_its_announcement() {
    let running = Running::with(real_limits()).await;
    for n_bytes in [(32 << 20) + 1, 64 << 20, 10_u64 << 30, u64::MAX / 2] {
        let mut client = Client::connect(running.wire).await;
        let head = format!("POST /metrics HTTP/1.1\r\nhost: c\r\ncontent-length: {n_bytes}\r\n\r\n");
        client.send(head.as_bytes()).await;
        // Not a byte of the body was sent: the answer cannot have waited for one.
        let answer = client.answer().await;
        answer.problem(413, "body-too-large");
        assert_eq!(answer.header("connection"), Some("close"));
    }
    assert_eq!(running.metric("tollgate_received_bytes_total").await, 0.0);
    check_undisturbed(&running).await;
}

#[tokio::test]
async fn a_body_of_64_mib_is_refused_however_it_comes() {
    let running = Running::with(real_limits()).await;
    let piece = vec![b' '; 1 << 20];

    let mut client = Client::connect(running.wire).await;
    client.send(b"POST /metrics HTTP/1.1\r\nhost: c\r\ntransfer-encoding: chunked\r\n\r\n").await;
    for _ in 0..64 {
        client.send(format!("{:x}\r\n", piece.len()).as_bytes()).await;
        client.send(&piece).await;
        client.send(b"\r\n").await;
    }
    client.send(b"0\r\n\r\n").await;
    client.answer().await.problem(413, "body-too-large");

    let mut client = Client::connect(running.wire).await;
    client.send(b"POST /metrics HTTP/1.1\r\nhost: c\r\ncontent-length: 67108864\r\n\r\n").await;
    for _ in 0..64 {
        client.send(&piece).await;
    }
    client.answer().await.problem(413, "body-too-large");
    check_undisturbed(&running).await;
}

#[tokio::test]
async fn who_writes_all_before_reading_is_not_reset() {
    let running = Running::start().await;
    let body = vec![b' '; 8 << 20];
    for (status, slug, path, header) in [
        (413, "body-too-large", "/metrics", "x: y"),
        (415, "unsupported-encoding", "/metrics", "content-encoding: br"),
        (404, "no-such-path", "/v1/metrics", "x: y"),
    ] {
        let head =
            format!("POST {path} HTTP/1.1\r\nhost: c\r\n{header}\r\ncontent-length: {}\r\n\r\n", body.len());
        let mut client = Client::connect(running.wire).await;
        client.try_send(head.as_bytes()).await.expect("the connection stays");
        for piece in body.chunks(64 << 10) {
            client.try_send(piece).await.expect("the connection stays");
        }
        client.answer().await.problem(status, slug);
    }
}

#[tokio::test]
async fn the_limit_of_a_body_is_exact() {
    let running = Running::start().await;
    let bytes_max = Settings::for_testing().body_bytes_max;
    let mut largest = post_of("model", &["1"]);
    largest.resize(bytes_max, b' ');
    assert_eq!(running.post("/metrics", &largest).await.acks("model"), ["1"]);
    for header in ["content-encoding: gzip", "content-encoding: zstd"] {
        let compress = if header.ends_with("gzip") { gzip } else { zstd };
        assert_eq!(running.post_with("/metrics", &[header], compress(&largest)).await.acks("model"), ["1"]);
    }
    largest.push(b' ');
    running.post("/metrics", &largest).await.problem(413, "body-too-large");
    running
        .post_with("/metrics", &["content-encoding: gzip"], gzip(&largest))
        .await
        .problem(413, "body-too-large");
    running
        .post_with("/metrics", &["content-encoding: zstd"], zstd(&largest))
        .await
        .problem(413, "body-too-large");
    // And of a compressed one as it came, whatever it holds.
    let noise: Vec<u8> =
        (0..Settings::for_testing().compressed_bytes_max + 1).map(|n| (n * n) as u8).collect();
    running.post_with("/metrics", &["content-encoding: gzip"], noise).await.problem(413, "body-too-large");
}

#[tokio::test]
async fn too_many_batches_are_refused_before_they_take_memory() {
    let running = Running::start().await;
    let n_max = Settings::for_testing().request_batches_max;
    let body = |n: usize| format!("[{}{{}}]", "{},".repeat(n - 1));
    running.post("/metrics", body(n_max + 1)).await.problem(413, "too-many-batches");
    assert_eq!(running.counts(), Counts::default());
    assert_eq!(running.post("/metrics", body(n_max)).await.status, 200);
    assert_eq!(running.counts().n_quarantined, 1, "equal elements are kept once");
}

#[tokio::test]
async fn what_becomes_much_when_it_is_decoded_is_counted() {
    let running = Running::start().await; // A body may have 1 MiB, and all together may take 4.
    let batch = |uuid: &str, n_metrics: usize| {
        let metrics = vec![r#"{"value":"0"}"#; n_metrics].join(",");
        format!(r#"{{"uuid":"{uuid}","env-uuid":"model","metrics":[{metrics}]}}"#)
    };
    // Each metric has 14 bytes, and then 56 as a reading and 56 in its canonical form.
    let sizes = [("1", 9_990), ("2", 9_990), ("3", 9_990), ("4", 6_000)];
    let too_many = format!("[{}]", sizes.map(|(uuid, n_metrics)| batch(uuid, n_metrics)).join(","));
    assert!(too_many.len() < Settings::for_testing().body_bytes_max / 2);
    let refused = running.post("/metrics", &too_many).await;
    let problem = refused.problem(413, "too-many-metrics");
    let detail =
        "Decoded, a body may take 4194304 bytes. Nothing of it was recorded: post fewer metrics at once.";
    assert_eq!(problem["detail"], detail);
    let broken = |n_bytes: usize| [&b"[\""[..], &vec![0xff; n_bytes], b"\"]"].concat();
    // Made UTF-8 it has three times the bytes, beside the original; one MiB of that is set aside.
    running.post("/metrics", broken(1_000_000)).await.problem(413, "too-many-metrics");
    assert_eq!(running.post("/metrics", broken(700_000)).await.status, 200);
    assert_eq!(running.counts(), Counts { n_quarantined: 1, ..Counts::default() });
    let enough = format!("[{},{}]", batch("1", 9_990), batch("2", 9_990));
    assert_eq!(running.post("/metrics", &enough).await.acks("model"), ["1", "2"]);
    running.wait_for_metric("tollgate_in_flight_bytes", 0.0).await;
}

#[tokio::test]
async fn encodings_that_are_not_understood_are_refused_before_the_body_is_read() {
    let running = Running::start().await;
    for headers in [
        vec!["content-encoding: br"],
        vec!["content-encoding: deflate"],
        vec!["content-encoding: gzip, gzip"],
        vec!["content-encoding: gzip, identity"],
        vec!["content-encoding: gzip", "content-encoding: zstd"],
    ] {
        let answer = running.post_with("/metrics", &headers, gzip(&post_of("model", &["1"]))).await;
        answer.problem(415, "unsupported-encoding");
        assert_eq!(answer.header("accept-encoding"), Some("gzip, zstd"));
    }
    check_undisturbed(&running).await;
}

#[tokio::test]
async fn what_does_not_decompress_is_refused() {
    let running = Running::start().await;
    let document = post_of("model", &["1", "2", "3"]);
    let huge_window = vec![0x28, 0xb5, 0x2f, 0xfd, 0x00, 21 << 3, 0x11, 0x00, 0x00, b'[', b']'];
    let half = |bytes: Vec<u8>| bytes[..bytes.len() / 2].to_vec();
    let with_garbage = |bytes: Vec<u8>| [bytes, b"[1,2,3,4,5,6,7,8]".to_vec()].concat();
    for (header, body) in [
        ("content-encoding: gzip", document.clone()),
        ("content-encoding: zstd", document.clone()),
        ("content-encoding: gzip", zstd(&document)),
        ("content-encoding: zstd", gzip(&document)),
        ("content-encoding: gzip", half(gzip(&document))),
        ("content-encoding: zstd", half(zstd(&document))),
        ("content-encoding: gzip", with_garbage(gzip(&document))),
        ("content-encoding: zstd", with_garbage(zstd(&document))),
        ("content-encoding: gzip", Vec::new()),
        ("content-encoding: zstd", Vec::new()),
        ("content-encoding: zstd", huge_window),
    ] {
        running.post_with("/metrics", &[header], body).await.problem(400, "bad-compression");
    }
    let twice = gzip(&gzip(&document));
    running.post_with("/metrics", &["content-encoding: gzip"], twice).await.problem(400, "bad-json");
    check_undisturbed(&running).await;
}

#[tokio::test]
async fn malformed_requests_are_closed_and_nothing_is_stored() {
    let running = Running::start().await;
    let chunked = "POST /metrics HTTP/1.1\r\nhost: c\r\ntransfer-encoding: chunked\r\n";
    let many_headers = (0..10_000).map(|n| format!("x-{n}: 1\r\n")).collect::<String>();
    for (request, statuses) in [
        (format!("{chunked}\r\nfffffffffffffffff\r\n[]"), &[400][..]),
        (format!("{chunked}\r\nxyz\r\n[]"), &[400]),
        (format!("{chunked}\r\n-2\r\n[]"), &[400]),
        ("POST /metrics HTTP/1.1\r\nhost: c\r\ntransfer-encoding: gzip\r\n\r\n".to_owned(), &[400]),
        ("POST /metrics HTTP/1.1\r\nhost: c\r\ncontent-length: -1\r\n\r\n[]".to_owned(), &[400]),
        (
            "POST /metrics HTTP/1.1\r\nhost: c\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n[]"
                .to_owned(),
            &[400],
        ),
        ("POST /metrics HTTP/1.1\r\nhost: c\r\ncontent-length: 2, 3\r\n\r\n[]".to_owned(), &[400]),
        ("POST /metrics HTTP/9.9\r\n\r\n".to_owned(), &[400]),
        ("P\u{1}ST /metrics HTTP/1.1\r\n\r\n".to_owned(), &[400]),
        ("\0\0\0\0\r\n\r\n".to_owned(), &[400]),
        (format!("POST /metrics HTTP/1.1\r\nx: {}\r\n\r\n", "y".repeat(1 << 20)), &[431]),
        (format!("POST /{} HTTP/1.1\r\n\r\n", "y".repeat(1 << 20)), &[431, 414]),
        (format!("POST /metrics HTTP/1.1\r\n{many_headers}\r\n"), &[431]),
    ] {
        let shown: String = request.chars().take(90).collect();
        let mut client = Client::connect(running.wire).await;
        client.send(request.as_bytes()).await;
        let answer = client.answer_or_end().await.unwrap_or_else(|| panic!("no answer: {shown:?}"));
        assert!(statuses.contains(&answer.status), "{} {shown:?}", answer.status);
        assert!(client.answer_or_end().await.is_none(), "{shown:?}");
    }
    check_undisturbed(&running).await;
}

#[tokio::test]
async fn a_second_request_cannot_be_smuggled_behind_two_lengths() {
    let running = Running::start().await;
    let body = String::from_utf8(post_of("model", &["1"])).expect("text");
    let hidden = String::from_utf8(post_of("model", &["2"])).expect("text");
    for (uuid, lengths) in [
        ("1", "content-length: 3\r\ntransfer-encoding: chunked"),
        ("1", "transfer-encoding: chunked\r\ncontent-length: 3"),
    ] {
        let smuggled = format!("POST /metrics HTTP/1.1\r\ncontent-length: {}\r\n\r\n{hidden}", hidden.len());
        let request = format!(
            "POST /metrics HTTP/1.1\r\nhost: c\r\n{lengths}\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n{smuggled}",
            body.len()
        );
        let mut client = Client::connect(running.wire).await;
        client.send(request.as_bytes()).await;
        assert_eq!(client.answer().await.acks("model"), [uuid]);
        assert!(client.answer_or_end().await.is_none(), "what follows is not taken for a request");
    }
    assert_eq!(running.counts().n_batches, 1);
}

#[tokio::test]
async fn more_than_the_budget_is_refused_before_it_is_read() {
    let settings = Settings { body_timeout_ms: 10_000, ..Settings::for_testing() };
    let budget = settings.in_flight_bytes_max;
    let running = Running::with(settings).await;
    let head = "POST /metrics HTTP/1.1\r\nhost: c\r\ncontent-length: 1048576\r\n\r\n";
    let almost_all = vec![b' '; (1 << 20) - 1];
    let mut holders = Vec::new();
    for n in 1..=4 {
        let mut client = Client::connect(running.wire).await;
        client.send(head.as_bytes()).await;
        client.send(&almost_all).await;
        running.wait_for_metric("tollgate_in_flight_bytes", (n * almost_all.len()) as f64).await;
        holders.push(client);
    }
    assert!(budget - 4 * almost_all.len() < 100);
    let refused = running.post("/metrics", post_of("model", &["1"])).await;
    refused.problem(503, "overloaded");
    assert_eq!(refused.header("retry-after"), Some("5"));
    let compressed =
        running.post_with("/metrics", &["content-encoding: gzip"], gzip(&vec![b' '; 1 << 20])).await;
    compressed.problem(503, "overloaded");
    drop(holders);
    running.wait_for_metric("tollgate_in_flight_bytes", 0.0).await;
    check_undisturbed(&running).await;
}
