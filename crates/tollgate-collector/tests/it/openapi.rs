//! The document for programs says what there is.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::harness::{Client, Running, batch};

/// The paths of the router, as the document writes them.
fn routes() -> BTreeSet<String> {
    let source = include_str!("../../src/admin_routes.rs");
    let paths = source.split("\"/").skip(1).filter_map(|rest| rest.split('"').next());
    let paths = paths.map(|path| format!("/{path}").replace("{*unit}", "{unit}/status"));
    // Some are named by a function of their own.
    paths.filter(|path| !path.contains(' ')).collect()
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
            let mut client = Client::connect(running.admin).await;
            let body = if method == "put" { br#"{"status":"GREEN"}"#.as_slice() } else { b"" };
            let answer = client.request(&method.to_uppercase(), &path, &[], body).await;
            let status = answer.status.to_string();
            let is_described = operation["responses"].get(&status).is_some()
                || (400 <= answer.status
                    && answer.header("content-type") == Some("application/problem+json"));
            assert!(is_described, "{method} {path}: {status} {}", answer.text());
            assert!(answer.status < 500 && answer.status != 405, "{method} {path}: {status}");
            if let Some(media) = answer.header("content-type").filter(|_| answer.status == 200) {
                let media = media.split(';').next().expect("a media type");
                assert!(
                    operation["responses"]["200"]["content"].get(media).is_some(),
                    "{method} {path}: {media}"
                );
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
