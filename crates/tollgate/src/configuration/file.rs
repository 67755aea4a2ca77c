//! The configuration file.

use std::fs;
use std::path;

use anyhow::{Context as _, bail};
use toml::de::{DeTable, DeValue};

use super::layers::{Layers, in_plain_words};
use super::{Configuration, Origin};

/// Lays the file at `path` over the layers.
pub(super) fn lay(layers: &mut Layers, path: &path::Path) -> anyhow::Result<()> {
    let text = fs::read_to_string(path)?;
    // Read once for its errors, which name line and key and show the place, and once more for the lines of the keys.
    if let Err(error) = toml::from_str::<Configuration>(&text) {
        bail!("{}", in_plain_words(error.to_string().trim_end()));
    }
    let table = DeTable::parse(&text).context("find the lines of the keys")?;
    let name = path.display().to_string();
    lay_table(layers, table.get_ref(), &mut Vec::new(), &|at| Origin::File {
        name: name.clone(),
        line: text[..at].lines().count().max(1),
    })
}

fn lay_table(
    layers: &mut Layers,
    table: &DeTable<'_>,
    path: &mut Vec<String>,
    origin: &impl Fn(usize) -> Origin,
) -> anyhow::Result<()> {
    for (key, value) in table {
        path.push(key.get_ref().to_string());
        if let DeValue::Table(inner) = value.get_ref() {
            lay_table(layers, inner, path, origin)?;
        } else {
            // Up to the key's end, so that a key at a line's start counts its own line.
            let origin = origin(key.span().end);
            layers.set(path, json(value.get_ref())?, origin).with_context(|| path.join("."))?;
        }
        path.pop();
    }
    Ok(())
}

fn json(value: &DeValue<'_>) -> anyhow::Result<serde_json::Value> {
    use serde::Deserialize as _;
    let deserializer = toml::de::ValueDeserializer::from(toml::Spanned::new(0..0, value.clone()));
    serde_json::Value::deserialize(deserializer).context("read a value")
}
