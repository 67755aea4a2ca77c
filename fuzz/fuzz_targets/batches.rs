//! Any bytes as a posted document, by both ways in: the owned types and the borrowed view.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tollgate_fuzz::{Fate, round_trip};
use tollgate_wire::{Document, Element, MetricBatch, from_slice, to_vec};

fuzz_target!(|body: &[u8]| {
    let owned = round_trip::<Option<Vec<MetricBatch>>>(body);
    let document = Document::new(body);
    let elements = match document.batches() {
        Ok(elements) => elements,
        Err(error) => {
            assert!(error.offset() <= body.len(), "an offset within the document: {error}");
            assert!(matches!(owned, Fate::Refused(_)), "only the view refuses: {error}");
            return;
        }
    };
    for (index, element) in elements.iter().enumerate() {
        assert_eq!(element.index, index);
        check_element(body, element);
    }
    let view_refuses = elements.iter().any(|element| element.batch.is_err());
    match owned {
        Fate::Refused(error) => {
            assert!(!error.is_syntax(), "the view takes what is no JSON: {error}");
            assert!(view_refuses, "only the owned types refuse: {error}");
        }
        Fate::NotEncodable => {
            assert!(!view_refuses);
            assert!(written_by_view(&elements).is_none(), "only the owned types cannot be written");
        }
        Fate::Canonical(canonical) => {
            assert!(!view_refuses);
            let written = written_by_view(&elements).expect("the owned types can be written");
            if canonical == b"null" {
                assert!(elements.is_empty());
            } else {
                assert_eq!(written.escape_ascii().to_string(), canonical.escape_ascii().to_string());
            }
        }
    }
});

/// An element says where it is, and its own text alone has the same fate.
fn check_element(body: &[u8], element: &Element<'_>) {
    assert!(element.offset < body.len(), "element {} starts at {}", element.index, element.offset);
    let alone = from_slice::<MetricBatch>(element.raw.as_bytes());
    match &element.batch {
        Ok(batch) => {
            let written = to_vec(batch);
            if element.is_canonical {
                assert_eq!(written.as_deref(), Ok(element.raw.as_bytes()));
            }
            assert_eq!(Ok(written), alone.map(|alone| to_vec(&alone)));
        }
        Err(error) => {
            assert!(!element.is_canonical);
            assert_eq!(error.index, element.index);
            assert!(element.offset <= error.offset && error.offset <= body.len(), "{error}");
            assert!(alone.is_err_and(|error| !error.is_syntax()), "alone it is a batch, or no JSON");
        }
    }
}

/// The document as the view writes it; `None` when an element has no JSON.
fn written_by_view(elements: &[Element<'_>]) -> Option<Vec<u8>> {
    let mut written = Vec::new();
    for element in elements {
        written.push(if element.index == 0 { b'[' } else { b',' });
        let batch = element.batch.as_ref().expect("no element was refused");
        tollgate_wire::encode(batch, &mut written).ok()?;
    }
    if elements.is_empty() {
        written.push(b'[');
    }
    written.push(b']');
    Some(written)
}
