//! The document for programs says what there is.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::harness::{Client, Running, batch};

/// The paths of both routers, as the document writes them.
fn routes() -> BTreeSet<String> {
    let source = include_str!("../../src/admin_routes.rs");
    let paths = source.split("\"/").skip(1).filter_map(|rest| rest.split('"').next());
    let paths = paths.map(|path| format!("/{path}").replace("{*unit}", "{unit}/status"));
    // Some are named by a function of their own.
    let of_admin = paths.filter(|path| !path.contains(' '));

    let sources = [include_str!("../../src/wire_routes.rs"), include_str!("../../src/credential_routes.rs")];
    let paths = sources.iter().flat_map(|source| source.split("&format!(\"{base}").skip(1));
    let paths = paths.filter_map(|rest| rest.split('"').next()).map(|path| path.trim_start_matches('/'));
    // Another spelling of `/metrics`.
    let of_wire = paths.filter(|path| !path.starts_with('{')).map(|path| format!("/{path}"));
    of_admin.chain(of_wire).collect()
}

#[tokio::test]
async fn every_route_is_described_and_every_description_is_a_route() {
    let running = Running::start().await;
    running.post("/metrics", serde_json::json!([batch("m", "b", "web/0", "1"), 7]).to_string()).await;
    let document: Value = running.get("/openapi.json").await.json();
    let described: BTreeSet<String> = document["paths"].as_object().expect("paths").keys().cloned().collect();
    assert_eq!(described, routes());
    for (path, methods) in document["paths"].as_object().expect("paths") {
        let path = path
            .replace("{model}", "m")
            .replace("{unit}", "web%2F0")
            .replace("{batch}", "b")
            .replace("{id}", "1");
        for (method, operation) in methods.as_object().expect("methods") {
            let is_of_wire = operation["tags"][0] == "senders";
            assert_eq!(is_of_wire, operation.get("servers").is_some(), "{method} {path}");
            let mut client = Client::connect(if is_of_wire { running.wire } else { running.admin }).await;
            let body = match method.as_str() {
                "put" => br#"{"status":"GREEN"}"#.as_slice(),
                "post" if is_of_wire => b"[]",
                _ => b"",
            };
            let answer = client.request(&method.to_uppercase(), &path, &[], body).await;
            let status = answer.status;
            let responses = &operation["responses"];
            let otherwise = responses.get("default").filter(|_| 400 <= status);
            let response = responses.get(status.to_string()).or(otherwise);
            let response = response.unwrap_or_else(|| panic!("{method} {path}: {status} {}", answer.text()));
            // 501 is what is not configured.
            assert!((status < 500 || status == 501) && status != 405, "{method} {path}: {status}");
            assert!(!answer.text().contains("no-such-path"), "{method} {path}: {}", answer.text());
            if let Some(media) = answer.header("content-type") {
                let media = media.split(';').next().expect("a media type");
                assert!(response["content"].get(media).is_some(), "{method} {path}: {status} {media}");
            }
            check_parameters(operation, &path);
        }
    }
    check_references(&document, &document);
}

fn check_parameters(operation: &Value, path: &str) {
    for parameter in operation["parameters"].as_array().into_iter().flatten() {
        assert!(
            parameter["description"].as_str().is_some_and(|text| !text.is_empty()),
            "{path}: {parameter}"
        );
    }
}

/// What is referred to is there.
fn check_references(document: &Value, value: &Value) {
    match value {
        Value::Object(members) => {
            if let Some(Value::String(reference)) = members.get("$ref") {
                let pointer = reference.strip_prefix('#').expect("of this document");
                assert!(document.pointer(pointer).is_some(), "{reference}");
            }
            members.values().for_each(|member| check_references(document, member));
        }
        Value::Array(elements) => elements.iter().for_each(|element| check_references(document, element)),
        _ => {}
    }
}
