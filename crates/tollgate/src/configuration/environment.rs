//! The configuration's keys as environment variables: `TOLLGATE_COLLECTOR_LISTEN` is `listen` in `[collector]`.

use std::collections::BTreeMap;
use std::ffi::OsString;

use anyhow::{Context as _, bail};
use serde_json::Value;

use super::Origin;
use super::layers::{Layers, Path};

/// Lays every variable that names a key over the layers.
///
/// A variable of one of our sections that names no key is a slip of the pen and refused. Variables that a cluster
/// sets by itself for a service named like a section are none of ours.
pub(super) fn lay(
    layers: &mut Layers,
    variables: impl Iterator<Item = (OsString, OsString)>,
) -> anyhow::Result<()> {
    let keys: BTreeMap<String, Path> = layers.leaves().map(|(path, _)| (variable(&path), path)).collect();
    for (name, value) in variables {
        let Some(name) = name.to_str() else { continue };
        if let Some(path) = keys.get(name) {
            let Some(text) = value.to_str() else { bail!("{name} is not UTF-8") };
            set(layers, name, path, text)?;
        } else if let Some(section) = section_of(name, keys.values())
            && !is_service_link(name, section)
        {
            let prefix = variable(&[section.to_owned()]);
            let known: Vec<&str> =
                keys.keys().map(String::as_str).filter(|key| key.starts_with(&prefix)).collect();
            bail!("unknown variable {name}: the keys of [{section}] are {}", known.join(", "));
        }
    }
    Ok(())
}

/// The variable of a key.
fn variable(path: &[String]) -> String {
    format!("TOLLGATE_{}", path.join("_").to_uppercase())
}

fn set(layers: &mut Layers, name: &str, path: &Path, text: &str) -> anyhow::Result<()> {
    let origin = || Origin::Environment(name.to_owned());
    let as_text = layers.set(path, Value::String(text.to_owned()), origin());
    let Err(refusal) = as_text else { return Ok(()) };
    // Not a text, then: numbers, booleans and lists are written as in the file.
    let as_toml =
        format!("value = {text}").parse::<toml::Table>().ok().and_then(|mut table| table.remove("value"));
    let refusal = match as_toml.map(serde_json::to_value) {
        Some(Ok(value)) if !value.is_string() => match layers.set(path, value, origin()) {
            Ok(()) => return Ok(()),
            Err(refusal) => refusal,
        },
        _ => refusal,
    };
    Err(refusal).with_context(|| format!("use {name}={text:?}"))
}

/// The section whose prefix the variable has.
fn section_of<'a>(name: &str, mut paths: impl Iterator<Item = &'a Path>) -> Option<&'a str> {
    paths.find_map(|path| {
        let section = path.first()?;
        let prefix = format!("{}_", variable(std::slice::from_ref(section)));
        name.starts_with(&prefix).then_some(section.as_str())
    })
}

/// Whether this is what Kubernetes and Docker set for a service called `tollgate-<section>`.
fn is_service_link(name: &str, section: &str) -> bool {
    let prefix = format!("{}_", variable(&[section.to_owned()]));
    let rest = name.strip_prefix(&prefix).unwrap_or(name);
    let link = |word: &str| rest == word || rest.starts_with(&format!("{word}_"));
    link("SERVICE_HOST") || link("SERVICE_PORT") || link("PORT")
}
