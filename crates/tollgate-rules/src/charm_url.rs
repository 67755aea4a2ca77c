//! Which charm a charm url names.

/// A charm url in its parts: `[schema:][~owner/][architecture/][series/]name[-revision]`.
///
/// ```
/// use tollgate_rules::CharmUrl;
///
/// let covers = |covered, actual| CharmUrl::parse(covered).covers(&CharmUrl::parse(actual));
/// assert!(covers("ch:amd64/jammy/metered-1", "ch:amd64/jammy/metered-7"));
/// assert!(covers("ch:metered", "ch:amd64/jammy/metered-7"));
/// assert!(!covers("cs:~bob/metered-1", "cs:metered-1"));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CharmUrl<'a> {
    /// Where it comes from: `ch`, `cs`, `local`; empty when it does not say.
    schema: &'a str,
    /// Whose it is, when it is not the store's own.
    owner: Option<&'a str>,
    /// Made for machines like these: `amd64`, `jammy` or both.
    built_for: &'a str,
    /// The name, without the revision.
    name: &'a str,
}

impl<'a> CharmUrl<'a> {
    /// Takes a charm url apart. Every text is one: what has no name names nothing else than itself.
    #[must_use]
    pub fn parse(url: &'a str) -> Self {
        let (schema, path) = url.split_once(':').unwrap_or(("", url));
        let (owner, path) = match path.strip_prefix('~').and_then(|path| path.split_once('/')) {
            Some((owner, path)) => (Some(owner), path),
            None => (None, path),
        };
        let (built_for, last) = path.rsplit_once('/').unwrap_or(("", path));
        Self { schema, owner, built_for, name: without_revision(last) }
    }

    /// Whether a credential for this charm is one for `other`. The revision does not matter: charms are upgraded while their
    /// credentials stay. What it was built for matters where both say it.
    #[must_use]
    pub fn covers(&self, other: &CharmUrl<'_>) -> bool {
        let both_say = !self.built_for.is_empty() && !other.built_for.is_empty();
        self.schema == other.schema
            && self.owner == other.owner
            && self.name == other.name
            && (!both_say || agree(self.built_for, other.built_for))
    }
}

fn without_revision(name: &str) -> &str {
    match name.rsplit_once('-') {
        Some((bare, revision)) if !bare.is_empty() && is_number(revision) => bare,
        _ => name,
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// `amd64/jammy` agrees with itself, and with `amd64` or `jammy` alone.
fn agree(one: &str, other: &str) -> bool {
    let (longer, shorter) = if one.len() < other.len() { (other, one) } else { (one, other) };
    longer == shorter || longer.split('/').any(|word| word == shorter)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(covered: &str, actual: &str, expected: bool) {
        let (covered, actual) = (CharmUrl::parse(covered), CharmUrl::parse(actual));
        assert_eq!(covered.covers(&actual), expected, "{covered:?} {actual:?}");
        assert_eq!(actual.covers(&covered), expected, "the other way round: {covered:?} {actual:?}");
    }

    #[test]
    fn the_revision_does_not_matter() {
        check("cs:quantal/metered-1", "cs:quantal/metered-1", true);
        check("cs:quantal/metered-1", "cs:quantal/metered-2000", true);
        check("cs:quantal/metered", "cs:quantal/metered-1", true);
        check("local:metered-app-3", "local:metered-app-4", true);
        check("local:metered-app-3", "local:metered-4", false);
        check("cs:metered-1a", "cs:metered-1b", false);
    }

    #[test]
    fn everything_else_does_where_both_say_it() {
        check("ch:metered-1", "ch:amd64/jammy/metered-1", true);
        check("ch:jammy/metered-1", "ch:amd64/jammy/metered-1", true);
        check("ch:amd64/jammy/metered-1", "ch:arm64/jammy/metered-1", false);
        check("cs:quantal/metered-1", "cs:trusty/metered-1", false);
        check("cs:metered-1", "ch:metered-1", false);
        check("metered-1", "ch:metered-1", false);
        check("cs:~bob/metered-1", "cs:metered-1", false);
        check("cs:~bob/metered-1", "cs:~alice/metered-1", false);
        check("cs:~bob/quantal/metered-1", "cs:~bob/metered-2", true);
        check("cs:metered", "cs:metered-app", false);
    }

    #[test]
    fn no_text_covers_what_it_should_not() {
        check("", "", true);
        check("", "ch:metered-1", false);
        check("", "-1", false);
        check("-1", "-2", false);
        check("ch:", "ch:metered", false);
        check("cs:~bob", "cs:~alice", false);
        check("ch:a/b/metered", "ch:a/c/metered", false);
    }
}
