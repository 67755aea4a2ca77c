//! The golden vectors: what Go's `encoding/json` made of each document, and what we make of it.
//!
//! `conformance/` writes them from the reference; nothing here needs Go.

#![expect(clippy::panic, reason = "a failed vector says its name")]

use std::fmt::Debug;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tollgate_wire::{
    Decode, Document, Encode, MetricBatch, Response, UserStatusResponse, from_slice, to_vec,
};

#[derive(Deserialize)]
struct Vector {
    name: String,
    rule: String,
    r#type: String,
    input_base64: String,
    canonical: Option<String>,
    error: Option<String>,
}

impl Vector {
    fn document(&self) -> Vec<u8> {
        base64_simd::STANDARD.decode_to_vec(&self.input_base64).expect("the generator writes base64")
    }
}

fn vectors() -> Vec<Vector> {
    include_str!("../golden/vectors.jsonl")
        .lines()
        .map(|line| serde_json::from_str(line).expect("the generator writes JSON"))
        .collect()
}

/// Decodes, compares, re-encodes, and decodes what was encoded.
fn check<T>(vector: &Vector)
where
    T: Decode + Encode + Serialize + DeserializeOwned + PartialEq + Debug,
{
    let name = &vector.name;
    let document = vector.document();
    let decoded = from_slice::<T>(&document);
    if vector.error.as_deref() == Some("decode") {
        let error = decoded.expect_err(name);
        assert!(error.offset() <= document.len(), "{name}: {error}");
        assert!(error.to_string().starts_with("decode the document at byte "), "{name}: {error}");
        return;
    }
    let value = decoded.unwrap_or_else(|error| panic!("{name}: {error}"));
    let Some(canonical) = &vector.canonical else {
        assert_eq!(vector.error.as_deref(), Some("encode"), "{name}");
        to_vec(&value).expect_err(name);
        return;
    };
    let encoded = to_vec(&value).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert_eq!(String::from_utf8_lossy(&encoded), *canonical, "{name}");

    let again = from_slice::<T>(&encoded).unwrap_or_else(|error| panic!("{name}, again: {error}"));
    assert_eq!(again, value, "{name}: decoding what was encoded");
    check_through_serde(vector, &document, &value, canonical);
}

/// Through serde the fields obey the same rules, as far as `serde_json` takes the document at all.
fn check_through_serde<T>(vector: &Vector, document: &[u8], value: &T, canonical: &str)
where
    T: Serialize + DeserializeOwned + PartialEq + Debug,
{
    let name = &vector.name;
    let shown: serde_json::Value =
        serde_json::to_value(value).unwrap_or_else(|error| panic!("{name}: {error}"));
    let expected: serde_json::Value = serde_json::from_str(canonical).expect(name);
    assert_eq!(shown, expected, "{name}: serialized through serde");
    assert_eq!(serde_json::from_str::<T>(canonical).expect(name), *value, "{name}: canonical, through serde");
    // What a repeated key cut off a slice and a third brings back, serde has no place to keep.
    if vector.rule != "slice-reuse"
        && let Ok(through_serde) = serde_json::from_slice::<T>(document)
    {
        assert_eq!(through_serde, *value, "{name}: as it came, through serde");
    }
}

/// The borrowed view accepts what the owned types accept, and writes the same bytes.
fn check_view(vector: &Vector) {
    let name = &vector.name;
    let body = vector.document();
    let document = Document::new(&body);
    let elements = match document.batches() {
        Ok(elements) => elements,
        Err(error) => {
            assert_eq!(vector.error.as_deref(), Some("decode"), "{name}: {error}");
            return;
        }
    };
    if let Some(bad) = elements.iter().find_map(|element| element.batch.as_ref().err()) {
        assert_eq!(vector.error.as_deref(), Some("decode"), "{name}: {bad}");
        return;
    }
    assert_ne!(vector.error.as_deref(), Some("decode"), "{name}: every element was accepted");
    let batches: Result<Vec<_>, _> =
        elements.iter().map(|element| to_vec(element.batch.as_ref().expect("checked above"))).collect();
    let Some(canonical) = &vector.canonical else {
        batches.expect_err(name);
        return;
    };
    let batches = batches.expect(name).join(&b","[..]);
    let expected = canonical.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or("");
    assert_eq!(String::from_utf8_lossy(&batches), expected, "{name}");

    for element in &elements {
        assert!(body.len() < 4096 || element.raw.len() <= body.len(), "{name}");
        let alone = from_slice::<MetricBatch>(element.raw.as_bytes()).expect(name);
        assert_eq!(
            to_vec(&alone),
            to_vec(element.batch.as_ref().expect("checked above")),
            "{name}: raw text of the element"
        );
    }
}

#[test]
fn every_vector_is_as_go_has_it() {
    let vectors = vectors();
    assert!(vectors.len() >= 400, "only {} vectors", vectors.len());
    for vector in &vectors {
        match vector.r#type.as_str() {
            "metric-batches" => {
                check::<Option<Vec<MetricBatch>>>(vector);
                check_view(vector);
            }
            "response" => check::<Response>(vector),
            "user-status-response" => check::<UserStatusResponse>(vector),
            other => panic!("{}: no such type: {other}", vector.name),
        }
    }
    let accepted = vectors.iter().filter(|vector| vector.canonical.is_some()).count();
    println!("{} vectors, {accepted} of them accepted", vectors.len());
}

#[derive(Deserialize)]
struct StringVector {
    name: String,
    hex: String,
    json: String,
}

#[test]
fn strings_of_any_bytes_are_escaped_as_go_does() {
    for line in include_str!("../golden/strings.jsonl").lines() {
        let StringVector { name, hex, json } = serde_json::from_str(line).expect("the generator writes JSON");
        let bytes: Vec<u8> = (0..hex.len())
            .step_by(2)
            .map(|index| u8::from_str_radix(&hex[index..index + 2], 16).expect("hexadecimal"))
            .collect();
        let mut out = Vec::new();
        tollgate_wire::encode_bytes_as_string(&bytes, &mut out);
        assert_eq!(String::from_utf8_lossy(&out), json, "{name}");
        if let Ok(text) = String::from_utf8(bytes) {
            assert_eq!(String::from_utf8_lossy(&to_vec(&text).expect(&name)), json, "{name}: as a string");
        }
    }
}
