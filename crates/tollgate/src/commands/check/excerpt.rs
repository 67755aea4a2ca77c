//! Shows a person where in a document something is wrong.

/// Characters of the line shown on either side of the place.
const CONTEXT_CHARS: usize = 36;

/// `NAME:LINE:COLUMN`, the reason, and the place with a caret under it. Lines and columns count from 1, columns
/// in characters.
pub(super) fn report(name: &str, document: &[u8], offset: usize, reason: &str) -> String {
    let offset = offset.min(document.len());
    let line_start = document[..offset].iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let line_end =
        document[offset..].iter().position(|byte| *byte == b'\n').map_or(document.len(), |n| offset + n);
    let line_number = document[..offset].iter().filter(|byte| **byte == b'\n').count() + 1;
    let before: Vec<char> = printable(&document[line_start..offset]).collect();
    let column = before.len() + 1;

    let shown_from = before.len().saturating_sub(CONTEXT_CHARS);
    let prefix = if shown_from == 0 { "" } else { "…" };
    let shown: String = before[shown_from..].iter().collect();
    let mut rest = printable(&document[offset..line_end]);
    let after: String = rest.by_ref().take(CONTEXT_CHARS).collect();
    let suffix = if rest.next().is_some() { "…" } else { "" };
    let indent = " ".repeat(prefix.chars().count() + before.len() - shown_from);
    format!("{name}:{line_number}:{column}: {reason}\n    {prefix}{shown}{after}{suffix}\n    {indent}^")
}

/// A character each, none of which moves the cursor: the caret below has to meet its place.
fn printable(bytes: &[u8]) -> impl Iterator<Item = char> {
    let text = String::from_utf8_lossy(bytes);
    let chars: Vec<char> = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    chars.into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_report(document: &[u8], offset: usize, expected: &str) {
        assert_eq!(report("f", document, offset, "bad"), expected);
    }

    #[test]
    fn the_caret_meets_the_place() {
        check_report(b"[x]", 1, "f:1:2: bad\n    [x]\n     ^");
        check_report(b"[\n\t{\"a\":x}\n]", 8, "f:2:7: bad\n     {\"a\":x}\n          ^");
        check_report("[\"ä\" x]".as_bytes(), 6, "f:1:6: bad\n    [\"ä\" x]\n         ^");
    }

    #[test]
    fn the_end_of_the_document_is_a_place() {
        check_report(b"[", 1, "f:1:2: bad\n    [\n     ^");
        check_report(b"", 0, "f:1:1: bad\n    \n    ^");
        check_report(b"[\n", 9, "f:2:1: bad\n    \n    ^");
    }

    #[test]
    fn long_lines_are_cut_around_the_place() {
        let document = format!("[{}x{}]", "1".repeat(100), "2".repeat(100));
        let expected = format!(
            "f:1:102: bad\n    …{}x{}…\n    {}^",
            "1".repeat(CONTEXT_CHARS),
            "2".repeat(CONTEXT_CHARS - 1),
            " ".repeat(CONTEXT_CHARS + 1)
        );
        check_report(document.as_bytes(), 101, &expected);
    }
}
