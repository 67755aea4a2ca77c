//! A borrowed view of posted batches, decoded element by element.

use std::borrow::Cow;
use std::fmt;

use crate::decode::{DecodeOver, SliceLength, array, byte_element, names_field, object, settle_slice};
use crate::document::{self, Place};
use crate::encode::{Encode, EncodeError, members};
use crate::fault::{DecodeError, Fault, Kind};
use crate::parser::{Next, Parser};
use crate::{Timestamp, base64};

/// A [`crate::MetricBatch`] that borrows from the posted document: the same fields, the same JSON.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BatchRef<'a> {
    /// The batch's own id. JSON `uuid`.
    pub uuid: Cow<'a, str>,
    /// The model that the batch belongs to. JSON `env-uuid`.
    pub model_uuid: Cow<'a, str>,
    /// The model's name. JSON `model-name`.
    pub model_name: Cow<'a, str>,
    /// The unit that was measured. JSON `unit-name`.
    pub unit_name: Cow<'a, str>,
    /// The charm that the unit runs. JSON `charm-url`.
    pub charm_url: Cow<'a, str>,
    /// When the batch was made. JSON `created`.
    pub created: Timestamp,
    /// The readings; `None` is `null`. JSON `metrics`.
    pub metrics: Option<Vec<MetricRef<'a>>>,
    /// The unit's macaroons. JSON `credentials`.
    pub credentials: Base64Ref<'a>,
    /// Never set by any known sender. JSON `reseller-credentials`.
    pub reseller_credentials: Base64Ref<'a>,
    /// The model's SLA macaroons. JSON `sla-credentials`.
    pub sla_credentials: Base64Ref<'a>,
}

/// A [`crate::Metric`] that borrows from the posted document.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MetricRef<'a> {
    /// The meter's name. JSON `key`.
    pub key: Cow<'a, str>,
    /// The amount, as the sender's text. JSON `value`.
    pub value: Cow<'a, str>,
    /// When it was measured. JSON `time`.
    pub time: Timestamp,
    /// What distinguishes this series. JSON `labels`.
    pub labels: Labels<'a>,
}

/// Labels in the order of their names, each name once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Labels<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl Labels<'_> {
    /// The names and values, sorted by name.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_ref(), value.as_ref()))
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Restores the order of names; of two with one name the later stays.
    fn sort(&mut self) {
        if self.0.is_sorted_by(|earlier, later| earlier.0 < later.0) {
            return;
        }
        self.0.reverse();
        self.0.sort_by(|one, other| one.0.cmp(&other.0));
        self.0.dedup_by(|later, earlier| later.0 == earlier.0);
    }
}

impl<'a> DecodeOver<'a> for Labels<'a> {
    type Memory = ();

    fn decode(&mut self, (): &mut (), parser: &mut Parser<'a>) -> Result<(), Fault> {
        match parser.value_start()? {
            b'{' => object(parser, |parser, name| {
                let mut value = Cow::<str>::default();
                value.decode_once(parser)?;
                if self.0.last().is_some_and(|(last, _)| name <= *last) {
                    parser.strays();
                }
                parser.keep_one_more(self.0.len())?;
                self.0.push((name, value));
                Ok(())
            }),
            b'n' => {
                self.0.clear();
                parser.null()
            }
            _ => Err(parser.mismatch(parser.position(), "an object of strings")),
        }
    }

    fn settle(&mut self, (): ()) {
        self.sort();
    }
}

impl Encode for Labels<'_> {
    fn encode(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        members(self.0.iter().map(|(name, value)| (name.as_ref(), value)), out)
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Bytes that stay in base64 until somebody asks for them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Base64Ref<'a> {
    /// JSON `null`, Go's nil.
    #[default]
    Null,
    /// Base64 as Go writes it.
    Encoded(&'a str),
    /// Bytes that came in another spelling: base64 with line breaks, or an array of numbers.
    Decoded(Vec<u8>),
}

impl Base64Ref<'_> {
    /// The bytes; `None` for `null`.
    #[must_use]
    pub fn to_bytes(&self) -> Option<Cow<'_, [u8]>> {
        match self {
            Self::Null => None,
            Self::Encoded(text) => Some(Cow::Owned(base64::decode(text).unwrap_or_default())),
            Self::Decoded(bytes) => Some(Cow::Borrowed(bytes)),
        }
    }
}

impl<'a> DecodeOver<'a> for Base64Ref<'a> {
    type Memory = SliceLength;

    #[inline]
    fn decode(&mut self, length: &mut SliceLength, parser: &mut Parser<'a>) -> Result<(), Fault> {
        match parser.value_start()? {
            b'"' => {
                let start = parser.position();
                *length = None;
                *self = match parser.string()? {
                    Cow::Borrowed(text) if base64::is_canonical(text) => Self::Encoded(text),
                    text => {
                        parser.strays();
                        Self::Decoded(
                            base64::decode(&text).ok_or_else(|| parser.mismatch(start, base64::EXPECTED))?,
                        )
                    }
                };
                Ok(())
            }
            b'[' => {
                parser.strays();
                let mut bytes = match std::mem::take(self) {
                    Self::Decoded(bytes) => bytes,
                    other => other.to_bytes().unwrap_or_default().into_owned(),
                };
                array(&mut bytes, length, parser, byte_element)?;
                *self = Self::Decoded(bytes);
                Ok(())
            }
            b'n' => {
                *self = Self::Null;
                *length = None;
                parser.null()
            }
            _ => Err(parser.mismatch(parser.position(), base64::EXPECTED)),
        }
    }

    fn settle(&mut self, length: SliceLength) {
        if let Self::Decoded(bytes) = self {
            settle_slice(bytes, length);
        }
    }
}

impl Encode for Base64Ref<'_> {
    #[inline]
    fn encode(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        if let Self::Null = self {
            out.extend_from_slice(b"null");
            return Ok(());
        }
        out.push(b'"');
        match self {
            Self::Null => {}
            Self::Encoded(text) => out.extend_from_slice(text.as_bytes()),
            Self::Decoded(bytes) => base64::encode(bytes, out),
        }
        out.push(b'"');
        Ok(())
    }
}

/// A posted document, to be decoded element by element.
///
/// ```
/// let document = tollgate_wire::Document::new(br#"[{"uuid":"a"}, {"uuid":"b","metrics":7}, {"uuid":"c"}]"#);
/// let elements = document.batches()?;
/// assert_eq!(elements[0].batch.as_ref().unwrap().uuid, "a");
/// let error = elements[1].batch.as_ref().unwrap_err();
/// assert_eq!(error.to_string(), "decode element 1 at byte 37: expected an array in \"metrics\", found '7'");
/// assert_eq!(error.identity.uuid, "b");
/// assert_eq!(elements[2].batch.as_ref().unwrap().uuid, "c");
/// # Ok::<(), tollgate_wire::DecodeError>(())
/// ```
#[derive(Debug)]
pub struct Document<'a> {
    body: &'a [u8],
    text: Cow<'a, str>,
    kept_max: usize,
}

/// One element of a posted document.
#[derive(Debug)]
pub struct Element<'a> {
    /// Its place in the array, from 0.
    pub index: usize,
    /// Where it starts in the document, in bytes.
    pub offset: usize,
    /// Its JSON as it came.
    pub raw: &'a str,
    /// Whether `raw` is what Go's `json.Marshal` gives for the batch. It may be even where this says no.
    pub is_canonical: bool,
    /// The batch, or why it is none.
    pub batch: Result<BatchRef<'a>, ElementError>,
}

/// JSON that Go cannot decode into a `MetricBatch`. Its neighbours are not harmed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ElementError {
    /// Its place in the array, from 0.
    pub index: usize,
    /// The fault's place in the document, in bytes.
    pub offset: usize,
    /// What was expected there and what was found.
    pub message: String,
    /// What it says of its identity, as far as that can be read.
    pub identity: Identity,
}

impl fmt::Display for ElementError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "decode element {} at byte {}: {}", self.index, self.offset, self.message)
    }
}

impl std::error::Error for ElementError {}

/// Whose an element is that cannot be decoded. A field that is missing or no string is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Identity {
    /// JSON `uuid`.
    pub uuid: String,
    /// JSON `env-uuid`.
    pub model_uuid: String,
    /// JSON `model-name`.
    pub model_name: String,
    /// JSON `unit-name`.
    pub unit_name: String,
}

impl<'a> Document<'a> {
    /// Takes the bytes of a posted body. Bytes that are not UTF-8 are replaced as Go replaces them.
    #[must_use]
    pub fn new(body: &'a [u8]) -> Self {
        Self { body, text: document::repair(body), kept_max: usize::MAX }
    }

    /// Takes a posted body that is known to be UTF-8.
    #[must_use]
    pub fn of_text(text: &'a str) -> Self {
        Self { body: text.as_bytes(), text: Cow::Borrowed(text), kept_max: usize::MAX }
    }

    /// The same document, of which at most `kept_max` metrics of one batch, labels of one metric or bytes of one array are kept.
    /// An element with more is an error like any other.
    ///
    /// Go has no such limit. It is for a collector: `{},` is three bytes of JSON, and a metric of some hundred in memory.
    #[must_use]
    pub fn keeping_at_most(self, kept_max: usize) -> Self {
        Self { kept_max, ..self }
    }

    /// All elements, in order; of `null` there are none.
    ///
    /// # Errors
    ///
    /// When the document is not JSON, or not an array or `null`. What an element holds is its own affair.
    pub fn batches(&self) -> Result<Vec<Element<'_>>, DecodeError> {
        self.elements().collect()
    }

    /// The elements one by one. After an error there are no more; whoever takes elements before the last one has come must be
    /// ready to drop them when the document turns out not to be JSON.
    pub fn elements(&self) -> impl Iterator<Item = Result<Element<'_>, DecodeError>> {
        let parser = Parser::new(&self.text).keeping_at_most(self.kept_max);
        let mut elements =
            Elements { parser, place: Place::start(self.body, &self.text), state: State::Start };
        std::iter::from_fn(move || elements.next())
    }
}

struct Elements<'d> {
    parser: Parser<'d>,
    /// The element that was decoded last.
    place: Place<'d>,
    state: State,
}

enum State {
    Start,
    /// The next element has this index.
    Within(usize),
    Done,
}

impl<'d> Elements<'d> {
    fn next(&mut self) -> Option<Result<Element<'d>, DecodeError>> {
        match self.advance() {
            Ok(element) => element.map(Ok),
            Err(fault) => {
                self.state = State::Done;
                Some(Err(DecodeError(self.place.locate(fault))))
            }
        }
    }

    fn advance(&mut self) -> Result<Option<Element<'d>>, Fault> {
        let (index, next) = match self.state {
            State::Done => return Ok(None),
            State::Start => match self.parser.value_start()? {
                b'[' => (0, self.parser.open(b']')?),
                b'n' => (0, self.parser.null().map(|()| Next::End)?),
                _ => return Err(self.not_an_array()),
            },
            State::Within(index) => (index, self.parser.separator(b']')?),
        };
        if next == Next::End {
            self.state = State::Done;
            self.parser.end()?;
            return Ok(None);
        }
        self.state = State::Within(index + 1);
        self.element(index).map(Some)
    }

    fn element(&mut self, index: usize) -> Result<Element<'d>, Fault> {
        self.parser.value_start()?;
        let start = self.parser.clone();
        let mut batch = BatchRef::default();
        self.parser.start_canonical();
        let decoded = batch.decode_once(&mut self.parser);
        let is_canonical = decoded.is_ok() && self.parser.is_canonical_since(start.position());
        if decoded.is_err_and(|fault| fault.kind == Kind::Type) {
            // JSON so far; the rest of the element has to be that too.
            self.parser = start.clone();
            self.parser.skip_value()?;
        }
        let offset = self.place.advance(start.position());
        let batch = match decoded {
            Ok(()) => Ok(batch),
            Err(fault) if fault.kind == Kind::Syntax => return Err(fault),
            Err(fault) => {
                let fault = self.place.locate(fault);
                let identity = identity(start.clone());
                Err(ElementError { index, offset: fault.offset, message: fault.to_string(), identity })
            }
        };
        Ok(Element { index, offset, raw: self.parser.since(start.position()), is_canonical, batch })
    }

    /// The fault of a document that is JSON, perhaps, but neither an array nor `null`.
    fn not_an_array(&mut self) -> Fault {
        let fault = self.parser.mismatch(self.parser.position(), "an array of batches, or null");
        match self.parser.skip_value().and_then(|()| self.parser.end()) {
            Ok(()) => fault,
            Err(syntax) => syntax,
        }
    }
}

/// What can be read of the identity of the element that `parser` stands before; it is known to be JSON.
fn identity(mut parser: Parser<'_>) -> Identity {
    let mut identity = Identity::default();
    if parser.value_start() != Ok(b'{') {
        return identity;
    }
    let read = object(&mut parser, |parser, key| {
        let field = match () {
            () if names_field(&key, "uuid") => &mut identity.uuid,
            () if names_field(&key, "env-uuid") => &mut identity.model_uuid,
            () if names_field(&key, "model-name") => &mut identity.model_name,
            () if names_field(&key, "unit-name") => &mut identity.unit_name,
            () => return parser.skip_value(),
        };
        match parser.value_start()? {
            b'"' => *field = parser.string()?.into_owned(),
            _ => parser.skip_value()?,
        }
        Ok(())
    });
    debug_assert_eq!(read, Ok(()), "the element was skipped as JSON before");
    identity
}
