//! What goes out in one request, and what an answer to it means.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use tollgate_wire::{Document, Response};

use crate::ranges::Ranges;

/// How much one request carries, at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    pub(crate) n_batches: usize,
    pub(crate) bytes: usize,
}

/// Units by model.
pub(crate) type Subjects = BTreeMap<String, BTreeSet<String>>;

/// Batches in the order in which they were recorded, as the body of a request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Chunk {
    /// An array without its last bracket: the elements' own bytes, never made anew.
    body: Vec<u8>,
    /// Each batch's number, and where it ends in the body.
    entries: Vec<(u64, usize)>,
}

impl Chunk {
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Adds a batch if there is room for it; a first one always has it.
    pub(crate) fn add(&mut self, number: u64, json: &[u8], limits: Limits) -> bool {
        // With the comma or bracket before it, and the bracket at the end.
        let is_full =
            limits.n_batches <= self.entries.len() || limits.bytes < self.body.len() + json.len() + 2;
        if is_full && !self.is_empty() {
            return false;
        }
        self.body.push(if self.is_empty() { b'[' } else { b',' });
        self.body.extend_from_slice(json);
        self.entries.push((number, self.body.len()));
        true
    }

    /// The request's body.
    pub(crate) fn body(&self) -> Vec<u8> {
        let mut body = Vec::with_capacity(self.body.len() + 1);
        body.extend_from_slice(&self.body);
        body.push(b']');
        body
    }

    /// The first `n_batches` and the rest.
    pub(crate) fn split_at(&self, n_batches: usize) -> [Self; 2] {
        let (first, rest) = self.entries.split_at(n_batches.min(self.len()));
        let mut start = 0;
        [first, rest].map(|entries| {
            let mut half = Self::default();
            for &(number, end) in entries {
                half.body.push(if half.is_empty() { b'[' } else { b',' });
                half.body.extend_from_slice(&self.body[start + 1..end]);
                half.entries.push((number, half.body.len()));
                start = end;
            }
            half
        })
    }

    /// Without the batches that `are_done`.
    pub(crate) fn without(self, are_done: impl Fn(u64) -> bool) -> Self {
        if !self.numbers().any(&are_done) {
            return self;
        }
        let mut rest = Self::default();
        let mut start = 0;
        for (number, end) in self.entries {
            if !are_done(number) {
                rest.body.push(if rest.is_empty() { b'[' } else { b',' });
                rest.body.extend_from_slice(&self.body[start + 1..end]);
                rest.entries.push((number, rest.body.len()));
            }
            start = end;
        }
        rest
    }

    pub(crate) fn numbers(&self) -> impl Iterator<Item = u64> {
        self.entries.iter().map(|&(number, _)| number)
    }

    /// The models that its batches name, and their units.
    pub(crate) fn subjects(&self) -> Subjects {
        let body = self.body();
        let document = Document::new(&body);
        let mut subjects = Subjects::new();
        for element in document.batches().unwrap_or_default() {
            let Ok(batch) = element.batch else { continue };
            let units = subjects.entry(batch.model_uuid.into_owned()).or_default();
            units.insert(batch.unit_name.into_owned());
        }
        subjects
    }

    /// Which of its batches a response acknowledges, and which not. An id that was not sent, or under another model,
    /// acknowledges nothing.
    pub(crate) fn split(&self, response: &Response) -> (Ranges, Ranges) {
        let acknowledged: HashSet<(&str, &str)> = response
            .env_responses
            .iter()
            .flat_map(|responses| &responses.0)
            .flat_map(|(model, answer)| answer.acks.iter().map(|id| (model.as_str(), id.as_str())))
            .collect();
        if acknowledged.is_empty() {
            return (Ranges::default(), self.numbers().collect());
        }
        let body = self.body();
        // A spool's batches decode; what did not could not be acknowledged.
        let document = Document::new(&body);
        let elements = document.batches().unwrap_or_default();
        let mut ids = elements.iter().map(|element| {
            let batch = element.batch.as_ref().ok()?;
            Some((&*batch.model_uuid, &*batch.uuid))
        });
        let is_acknowledged =
            |id: Option<Option<(&str, &str)>>| id.flatten().is_some_and(|id| acknowledged.contains(&id));
        let (mut yes, mut no) = (Ranges::default(), Ranges::default());
        for number in self.numbers() {
            let numbers = if is_acknowledged(ids.next()) { &mut yes } else { &mut no };
            numbers.add(number, number);
        }
        (yes, no)
    }
}

#[cfg(test)]
mod tests {
    use tollgate_wire::{EnvironmentResponses, MetricBatch};

    use super::*;

    const LIMITS: Limits = Limits { n_batches: 4, bytes: 1 << 20 };

    fn json(model: &str, uuid: &str) -> Vec<u8> {
        let batch =
            MetricBatch { uuid: uuid.to_owned(), model_uuid: model.to_owned(), ..MetricBatch::default() };
        tollgate_wire::to_vec(&batch).expect("encodes")
    }

    fn chunk(n: u64) -> Chunk {
        let mut chunk = Chunk::default();
        let limits = Limits { n_batches: usize::MAX, ..LIMITS };
        (1..=n).for_each(|n| assert!(chunk.add(n, &json("m", &format!("b{n}")), limits)));
        chunk
    }

    #[test]
    fn a_body_is_the_batches_own_bytes() {
        let mut chunk = Chunk::default();
        assert!(chunk.add(5, b"{1}", LIMITS) && chunk.add(9, b"{2}", LIMITS));
        assert_eq!(chunk.body(), b"[{1},{2}]");
        assert_eq!(chunk.numbers().collect::<Vec<_>>(), [5, 9]);
    }

    #[track_caller]
    fn check_limit(n_batches: usize, bytes: usize, expected: usize) {
        let mut chunk = Chunk::default();
        let limits = Limits { n_batches, bytes };
        let n_added = (1..=9).take_while(|&n| chunk.add(n, b"{...}", limits)).count();
        assert_eq!((n_added, chunk.len()), (expected, expected));
        assert!(chunk.body().len() <= bytes || expected == 1);
    }

    #[test]
    fn a_request_has_a_limit_in_batches_and_in_bytes() {
        check_limit(4, 1000, 4);
        check_limit(100, 13, 2);
        check_limit(100, 12, 1);
        check_limit(100, 1, 1);
        check_limit(0, 1000, 1);
    }

    #[test]
    fn parts_are_the_whole() {
        for (n, at) in (2..9).flat_map(|n| (1..n).map(move |at| (n, at))) {
            let chunk = chunk(n);
            let [first, rest] = chunk.split_at(at as usize);
            assert_eq!(first.len(), at as usize);
            let numbers: Vec<u64> = first.numbers().chain(rest.numbers()).collect();
            assert_eq!(numbers, chunk.numbers().collect::<Vec<_>>());
            let bodies = [first.body(), rest.body()].map(|body| String::from_utf8(body).expect("UTF-8"));
            let joined = format!("{},{}", bodies[0].trim_end_matches(']'), &bodies[1][1..]);
            assert_eq!(joined.as_bytes(), chunk.body());
        }
    }

    #[test]
    fn what_is_done_is_left_out_whole() {
        for (done, rest) in
            [(&[][..], &[1, 2, 3, 4][..]), (&[1], &[2, 3, 4]), (&[2, 4], &[1, 3]), (&[1, 2, 3, 4], &[])]
        {
            let mut expected = Chunk::default();
            rest.iter().for_each(|&n| assert!(expected.add(n, &json("m", &format!("b{n}")), LIMITS)));
            assert_eq!(chunk(4).without(|number| done.contains(&number)), expected, "{done:?}");
        }
    }

    /// Acknowledgements as model and id.
    #[track_caller]
    fn check_split(acks: &[(&str, &str)], expected: &[u64]) {
        let chunk = chunk(4);
        let mut responses = EnvironmentResponses::default();
        acks.iter().for_each(|(model, id)| responses.ack(model, id));
        let response = Response { env_responses: Some(responses), ..Response::default() };
        let (yes, no) = chunk.split(&response);
        let numbers = |ranges: &Ranges| (1..=9).filter(|&n| ranges.contains(n)).collect::<Vec<u64>>();
        assert_eq!(numbers(&yes), expected);
        assert_eq!(numbers(&no), (1..=4).filter(|n| !expected.contains(n)).collect::<Vec<_>>());
    }

    #[test]
    fn only_what_was_sent_is_acknowledged() {
        check_split(&[], &[]);
        check_split(&[("m", "b1"), ("m", "b3")], &[1, 3]);
        check_split(&[("m", "b4"), ("m", "b4"), ("m", "b4")], &[4]);
        check_split(&[("m", "stranger"), ("m", "b2"), ("m", "B1")], &[2]);
        check_split(&[("other", "b1")], &[]);
        check_split(&[("m", "b1"), ("m", "b2"), ("m", "b3"), ("m", "b4")], &[1, 2, 3, 4]);
        assert_eq!(chunk(2).split(&Response::default()).1.iter().collect::<Vec<_>>(), [(1, 2)]);
    }

    #[test]
    fn it_is_about_the_models_and_units_of_its_batches() {
        let mut chunk = chunk(2);
        let batch = MetricBatch { model_uuid: "n".into(), unit_name: "u/0".into(), ..MetricBatch::default() };
        assert!(chunk.add(3, &tollgate_wire::to_vec(&batch).expect("encodes"), LIMITS));
        let units = |unit: &str| BTreeSet::from([unit.to_owned()]);
        assert_eq!(chunk.subjects(), [("m".to_owned(), units("")), ("n".to_owned(), units("u/0"))].into());
    }

    #[test]
    fn an_id_that_was_recorded_twice_is_acknowledged_twice() {
        let mut chunk = Chunk::default();
        (1..=2).for_each(|n| assert!(chunk.add(n, &json("m", "same"), LIMITS)));
        let mut responses = EnvironmentResponses::default();
        responses.ack("m", "same");
        let (yes, _) = chunk.split(&Response { env_responses: Some(responses), ..Response::default() });
        assert_eq!(yes.iter().collect::<Vec<_>>(), [(1, 2)]);
    }
}
