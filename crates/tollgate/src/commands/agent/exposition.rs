//! The text that a Prometheus endpoint gives.

use std::collections::BTreeMap;

/// One line with a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sample {
    pub(crate) metric: String,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) value: String,
}

/// All samples. A line that cannot be read is left out, and counted.
pub(crate) fn parse(text: &str) -> (Vec<Sample>, usize) {
    let (mut samples, mut n_unread) = (Vec::new(), 0);
    for line in text.lines().map(str::trim) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        match sample(line) {
            Some(sample) => samples.push(sample),
            None => n_unread += 1,
        }
    }
    (samples, n_unread)
}

fn sample(line: &str) -> Option<Sample> {
    let name_ends = line.find(|c: char| c == '{' || c.is_ascii_whitespace())?;
    let (metric, rest) = line.split_at(name_ends);
    let (labels, rest) = match rest.strip_prefix('{') {
        Some(rest) => labels(rest)?,
        None => (BTreeMap::new(), rest),
    };
    // A time may follow; an example behind `#` too.
    let value = rest.split_ascii_whitespace().next()?.to_owned();
    (!metric.is_empty()).then(|| Sample { metric: metric.to_owned(), labels, value })
}

/// The labels up to the bracket, and what is behind it.
fn labels(text: &str) -> Option<(BTreeMap<String, String>, &str)> {
    let mut labels = BTreeMap::new();
    let mut rest = text.trim_start();
    loop {
        if let Some(behind) = rest.strip_prefix('}') {
            return Some((labels, behind));
        }
        let (name, quoted) = rest.split_once('=')?;
        let mut chars = quoted.trim_start().strip_prefix('"')?.char_indices();
        let quoted = quoted.trim_start().strip_prefix('"')?;
        let mut value = String::new();
        let end = loop {
            match chars.next()? {
                (at, '"') => break at + 1,
                (_, '\\') => value.push(match chars.next()?.1 {
                    'n' => '\n',
                    other => other,
                }),
                (_, other) => value.push(other),
            }
        };
        labels.insert(name.trim().to_owned(), value);
        rest = quoted[end..].trim_start();
        rest = rest.strip_prefix(',').unwrap_or(rest).trim_start();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The metric, its labels, the value.
    type Read = (String, Vec<(String, String)>, String);

    fn line(line: &str) -> Option<Read> {
        let (samples, n_unread) = parse(line);
        assert_eq!(samples.len() + n_unread, 1);
        let sample = samples.into_iter().next()?;
        Some((sample.metric, sample.labels.into_iter().collect(), sample.value))
    }

    #[track_caller]
    fn check(text: &str, metric: &str, labels: &[(&str, &str)], value: &str) {
        let labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        assert_eq!(line(text), Some((metric.to_owned(), labels, value.to_owned())), "{text}");
    }

    #[test]
    fn samples_are_read() {
        check("up 1", "up", &[], "1");
        check("up{} 1 1395066363000", "up", &[], "1");
        check(
            r#"http_total{code="200",method="post"} 1027"#,
            "http_total",
            &[("code", "200"), ("method", "post")],
            "1027",
        );
        check(r#"a{ b = "c" , } 1e+06"#, "a", &[("b", "c")], "1e+06");
        check(r#"a{path="C:\\d\"e\n}"} +Inf"#, "a", &[("path", "C:\\d\"e\n}")], "+Inf");
        check("a_total 5 # {trace=\"x\"} 1", "a_total", &[], "5");
    }

    #[test]
    fn what_cannot_be_read_is_left_out() {
        for text in ["name", r#"a{b="c} 1"#, r#"a{b=c} 1"#, "{} 1", "a{b=\"c\"}"] {
            assert_eq!(line(text), None, "{text}");
        }
        let (samples, n_unread) = parse("# HELP a b\n# TYPE a counter\n\na 1\nnonsense\na 2\n");
        assert_eq!((samples.len(), n_unread), (2, 1));
    }
}
