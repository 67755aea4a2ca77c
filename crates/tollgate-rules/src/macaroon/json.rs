//! The JSON forms of a macaroon.

use std::fmt;

use serde::Serialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};

use super::{Macaroon, MacaroonError, binary};
use crate::hex::{from_hex, to_hex};
use crate::reason::cut;

const N_MESSAGE_CHARACTERS_MAX: usize = 120;

pub(super) fn parse(text: &[u8]) -> Result<Vec<Macaroon>, MacaroonError> {
    match text {
        b"" | b"null" => Ok(Vec::new()),
        [b'[', ..] => {
            let forms: Vec<Form> = serde_json::from_slice(text).map_err(not_json)?;
            forms.into_iter().map(Form::read).collect()
        }
        _ => {
            let form: Form = serde_json::from_slice(text).map_err(not_json)?;
            Ok(vec![form.read()?])
        }
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it is for map_err")]
fn not_json(error: serde_json::Error) -> MacaroonError {
    MacaroonError::NotJson { message: cut(&error.to_string(), N_MESSAGE_CHARACTERS_MAX) }
}

/// What JSON can have in the place of a macaroon.
enum Form {
    /// Base64 of a binary form.
    Binary(String),
    /// The members of either version.
    Members(Box<Members>),
}

/// The members of both versions, of which a macaroon has those of one. Without the optional ones a list is empty; a location is
/// left out when it is.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Members {
    caveats: Option<Vec<CaveatV1>>,
    location: Option<String>,
    identifier: Option<String>,
    signature: Option<String>,

    c: Option<Vec<CaveatV2>>,
    l: Option<String>,
    l64: Option<String>,
    i: Option<String>,
    i64: Option<String>,
    s: Option<String>,
    s64: Option<String>,
    v: Option<u8>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct CaveatV1 {
    cid: Option<String>,
    #[serde(default)]
    vid: String,
    #[serde(default)]
    cl: String,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct CaveatV2 {
    i: Option<String>,
    i64: Option<String>,
    #[serde(default)]
    v: String,
    #[serde(default)]
    v64: String,
    #[serde(default)]
    l: String,
    #[serde(default)]
    l64: String,
}

impl<'de> Deserialize<'de> for Form {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct OfForm;

        impl<'de> Visitor<'de> for OfForm {
            type Value = Form;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a macaroon: an object, or base64 of its binary form")
            }

            fn visit_str<E>(self, text: &str) -> Result<Form, E> {
                Ok(Form::Binary(text.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<Form, A::Error> {
                Members::deserialize(MapAccessDeserializer::new(members))
                    .map(|members| Form::Members(Box::new(members)))
            }
        }

        from.deserialize_any(OfForm)
    }
}

impl Form {
    fn read(self) -> Result<Macaroon, MacaroonError> {
        match self {
            Self::Binary(base64) => binary::parse(&decode_base64("the JSON string", &base64)?),
            Self::Members(members) if members.is_v1() => members.read_v1(),
            Self::Members(members) => members.read_v2(),
        }
    }
}

impl Members {
    fn is_v1(&self) -> bool {
        self.caveats.is_some()
            || self.location.is_some()
            || self.identifier.is_some()
            || self.signature.is_some()
    }

    fn is_v2(&self) -> bool {
        let texts = [&self.l, &self.l64, &self.i, &self.i64, &self.s, &self.s64];
        self.c.is_some() || self.v.is_some() || texts.iter().any(|text| text.is_some())
    }

    fn read_v1(self) -> Result<Macaroon, MacaroonError> {
        if self.is_v2() {
            let expected = "those of one version: it has some of both";
            return Err(MacaroonError::Part { part: "the list of members", expected });
        }
        let caveats = self.caveats.unwrap_or_default().into_iter().map(|caveat| {
            if !caveat.vid.is_empty() || !caveat.cl.is_empty() {
                return Err(MacaroonError::ThirdPartyCaveat);
            }
            caveat.cid.ok_or(MacaroonError::Part { part: "cid", expected: "there" })
        });
        Ok(Macaroon {
            location: self.location.unwrap_or_default(),
            caveats: caveats.collect::<Result<_, _>>()?,
            identifier: self
                .identifier
                .ok_or(MacaroonError::Part { part: "identifier", expected: "there" })?,
            signature: self
                .signature
                .as_deref()
                .and_then(from_hex)
                .and_then(|bytes| bytes.try_into().ok())
                .ok_or(MacaroonError::Part {
                part: "signature",
                expected: "there, or not 64 hexadecimal digits in lower case",
            })?,
        })
    }

    fn read_v2(self) -> Result<Macaroon, MacaroonError> {
        if self.v.is_some_and(|version| version != 2) {
            return Err(MacaroonError::Part { part: "v", expected: "2" });
        }
        let caveats = self.c.unwrap_or_default().into_iter().map(|caveat| {
            if [&caveat.v, &caveat.v64, &caveat.l, &caveat.l64].iter().any(|text| !text.is_empty()) {
                return Err(MacaroonError::ThirdPartyCaveat);
            }
            text("c[].i", caveat.i, caveat.i64)
        });
        let signature = either("s64", self.s, self.s64)?;
        let signature = signature.and_then(|bytes| bytes.try_into().ok());
        Ok(Macaroon {
            location: text("l", self.l, self.l64)?,
            caveats: caveats.collect::<Result<_, _>>()?,
            identifier: text("i", self.i, self.i64)?,
            signature: signature
                .ok_or(MacaroonError::Part { part: "s64", expected: "there, or not 32 bytes" })?,
        })
    }
}

/// A field of version 2 comes as text or, with another name, as base64.
fn either(
    part: &'static str,
    text: Option<String>,
    base64: Option<String>,
) -> Result<Option<Vec<u8>>, MacaroonError> {
    match (text, base64) {
        (None, None) => Ok(None),
        (Some(text), None) => Ok(Some(text.into_bytes())),
        (None, Some(base64)) => decode_base64(part, &base64).map(Some),
        (Some(_), Some(_)) => {
            Err(MacaroonError::Part { part, expected: "there once: it is there as text and as base64" })
        }
    }
}

fn text(part: &'static str, text: Option<String>, base64: Option<String>) -> Result<String, MacaroonError> {
    // Go leaves out what is empty.
    let bytes = either(part, text, base64)?.unwrap_or_default();
    String::from_utf8(bytes).map_err(|_| MacaroonError::Part { part, expected: "text" })
}

/// Of either alphabet, padded or not, but without bits that say nothing.
fn decode_base64(part: &'static str, base64: &str) -> Result<Vec<u8>, MacaroonError> {
    let is_standard = base64.contains(['+', '/']);
    let alphabet = match (is_standard, base64.ends_with('=')) {
        (false, false) => base64_simd::URL_SAFE_NO_PAD,
        (false, true) => base64_simd::URL_SAFE,
        (true, false) => base64_simd::STANDARD_NO_PAD,
        (true, true) => base64_simd::STANDARD,
    };
    let bytes = alphabet.decode_to_vec(base64);
    bytes.map_err(|_| MacaroonError::Part { part, expected: "base64" })
}

pub(super) fn write_v1(macaroon: &Macaroon) -> String {
    #[derive(Serialize)]
    struct V1<'a> {
        caveats: Vec<Caveat<'a>>,
        location: &'a str,
        identifier: &'a str,
        signature: String,
    }

    #[derive(Serialize)]
    struct Caveat<'a> {
        cid: &'a str,
    }

    let Macaroon { location, identifier, caveats, signature } = macaroon;
    written(&V1 {
        caveats: caveats.iter().map(|cid| Caveat { cid }).collect(),
        location,
        identifier,
        signature: to_hex(signature),
    })
}

pub(super) fn write_v2(macaroon: &Macaroon) -> String {
    #[derive(Serialize)]
    struct V2<'a> {
        #[serde(skip_serializing_if = "Vec::is_empty")]
        c: Vec<Caveat<'a>>,
        #[serde(skip_serializing_if = "str::is_empty")]
        l: &'a str,
        i: &'a str,
        s64: String,
    }

    #[derive(Serialize)]
    struct Caveat<'a> {
        i: &'a str,
    }

    let Macaroon { location, identifier, caveats, signature } = macaroon;
    written(&V2 {
        c: caveats.iter().map(|i| Caveat { i }).collect(),
        l: location,
        i: identifier,
        s64: base64_simd::URL_SAFE_NO_PAD.encode_to_string(signature),
    })
}

fn written(form: &impl Serialize) -> String {
    serde_json::to_string(form).expect("strings and lists of them always serialize")
}
