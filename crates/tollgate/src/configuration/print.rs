//! The effective configuration for a person: a configuration file in itself, each value followed by its origin.

use serde_json::Value;

use super::{Loaded, Origin};

/// The column where origins start, unless a value is longer.
const ORIGIN_COLUMN: usize = 44;

/// The whole configuration as TOML, with the origins as comments. Secrets are redacted.
pub(crate) fn print(loaded: &Loaded) -> String {
    let mut text = String::new();
    let mut section_before = String::new();
    for (path, value) in loaded.layers.leaves() {
        if let ([list], Value::Array(tables)) = (&path[..], value) {
            print_tables(&mut text, list, tables, loaded.layers.origin(&path));
            continue;
        }
        let (section, key) = match path.split_last() {
            Some((key, section)) => (section.join("."), key),
            None => continue,
        };
        if section != section_before {
            let blank = if text.is_empty() { "" } else { "\n" };
            text.push_str(&format!("{blank}[{section}]\n"));
            section_before = section;
        }
        let assignment = match toml::Value::try_from(redacted(key, value)) {
            Ok(value) => format!("{key} = {value}"),
            // TOML has no null: a key that is not set shows as a comment.
            Err(_) => format!("# {key} is not set"),
        };
        let origin = loaded.layers.origin(&path);
        text.push_str(&format!("{assignment:<ORIGIN_COLUMN$}  # {origin}\n"));
    }
    text
}

/// A list of tables, such as the plans: a heading for each.
fn print_tables(text: &mut String, list: &str, tables: &[Value], origin: &Origin) {
    for table in tables {
        let heading = format!("[[{list}]]");
        text.push_str(&format!("\n{heading:<ORIGIN_COLUMN$}  # {origin}\n"));
        for (key, value) in table.as_object().into_iter().flatten() {
            if let Ok(value) = toml::Value::try_from(redacted(key, value)) {
                text.push_str(&format!("{key} = {value}\n"));
            }
        }
    }
}

/// The value without what only its user may know: the password in a URL, and keys that are secrets by name.
fn redacted(key: &str, value: &Value) -> Value {
    const REDACTED: &str = "[redacted]";
    let Value::String(text) = value else { return value.clone() };
    if ["token", "secret", "password"].iter().any(|word| key.ends_with(word)) {
        return REDACTED.into();
    }
    let password = text.split_once("://").and_then(|(scheme, rest)| {
        let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
        let (user_and_password, _) = authority.rsplit_once('@')?;
        let (user, _) = user_and_password.split_once(':')?;
        Some(format!("{scheme}://{user}:{REDACTED}{}", &rest[user_and_password.len()..]))
    });
    password.map_or_else(|| value.clone(), Value::String)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_redacted(key: &str, value: &str, expected: &str) {
        assert_eq!(redacted(key, &value.into()), Value::from(expected));
    }

    #[test]
    fn only_secrets_are_redacted() {
        check_redacted(
            "location",
            "postgres://me:p@ss@db/x?a=b@c:d",
            "postgres://me:[redacted]@db/x?a=b@c:d",
        );
        check_redacted("location", "postgres://me@db:5432/x", "postgres://me@db:5432/x");
        check_redacted("location", "/var/lib/tollgate", "/var/lib/tollgate");
        check_redacted("admin_token", "t", "[redacted]");
    }
}
