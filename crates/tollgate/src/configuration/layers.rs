//! Values laid over one another, each with its origin.

use std::collections::BTreeMap;

use anyhow::Context as _;
use serde::Deserialize as _;
use serde_json::Value;

use super::{Configuration, Origin};

/// A path of keys: the section, then the key in it.
pub(super) type Path = Vec<String>;

/// The values that count so far.
pub(super) struct Layers {
    values: Value,
    origins: BTreeMap<Path, Origin>,
}

impl Layers {
    /// The lowest layer, which has every key there is.
    pub(super) fn of_defaults(defaults: &Configuration) -> anyhow::Result<Self> {
        let values = serde_json::to_value(defaults).context("serialize the defaults")?;
        let mut layers = Self { values, origins: BTreeMap::new() };
        let paths: Vec<Path> = layers.leaves().map(|(path, _)| path).collect();
        layers.origins.extend(paths.into_iter().map(|path| (path, Origin::Default)));
        Ok(layers)
    }

    /// Every value with its path, in the order of the sections.
    pub(super) fn leaves(&self) -> impl Iterator<Item = (Path, &Value)> {
        let mut leaves = Vec::new();
        collect_leaves(&self.values, &mut Vec::new(), &mut leaves);
        leaves.into_iter()
    }

    /// Where the value at a path came from.
    pub(super) fn origin(&self, path: &[String]) -> &Origin {
        self.origins.get(path).unwrap_or(&Origin::Default)
    }

    /// Lays one value over what was there, if the whole still makes a configuration; else nothing changes.
    pub(super) fn set(
        &mut self,
        path: &[impl AsRef<str>],
        value: Value,
        origin: Origin,
    ) -> anyhow::Result<()> {
        let mut values = self.values.clone();
        let mut place = &mut values;
        for key in path {
            place = &mut place[key.as_ref()];
        }
        *place = value;
        decode(&values)?;
        self.values = values;
        self.origins.insert(path.iter().map(|key| key.as_ref().to_owned()).collect(), origin);
        Ok(())
    }

    /// The layers as the type that the rest of the program reads.
    pub(super) fn configuration(&self) -> anyhow::Result<Configuration> {
        decode(&self.values)
    }
}

fn decode(values: &Value) -> anyhow::Result<Configuration> {
    Configuration::deserialize(values)
        .map_err(|error| anyhow::anyhow!("{}", in_plain_words(&error.to_string())))
}

/// Serde names Rust's types; a person who writes a configuration thinks of numbers and texts.
pub(super) fn in_plain_words(message: &str) -> String {
    const WORDS: [(&str, &str); 6] = [
        ("expected usize", "expected a whole number, 0 or more"),
        ("expected u64", "expected a whole number, 0 or more"),
        ("expected u32", "expected a whole number, 0 or more"),
        ("expected u16", "expected a whole number from 0 to 65535"),
        ("expected i64", "expected a whole number"),
        ("invalid socket address syntax", "expected a socket address such as 127.0.0.1:8480 or [::1]:8480"),
    ];
    WORDS.iter().fold(message.to_owned(), |message, (rust, plain)| message.replace(rust, plain))
}

fn collect_leaves<'a>(value: &'a Value, path: &mut Path, leaves: &mut Vec<(Path, &'a Value)>) {
    let Value::Object(table) = value else {
        leaves.push((path.clone(), value));
        return;
    };
    for (key, value) in table {
        path.push(key.clone());
        collect_leaves(value, path, leaves);
        path.pop();
    }
}
