//! The table in `docs/evidence.md`: a row for each part, replaced whenever that part is run.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

/// One part of the evidence, as it was found.
#[derive(Debug)]
pub struct Row<'a> {
    /// The part's name: the word of its command.
    pub part: &'a str,
    /// What was done, in a sentence.
    pub what: &'a str,
    /// What the run counted, or how it failed.
    pub outcome: &'a Result<String>,
    /// The command that repeats it.
    pub repeat: &'a str,
}

/// Writes the row of a part into the table in `path`.
///
/// # Errors
///
/// When the file cannot be read or written, or date and commit cannot be told.
pub fn record(path: &Path, row: &Row<'_>) -> Result<()> {
    let date = printed(Command::new("date").args(["-u", "+%F"]))?;
    let commit = commit(path)?;
    let line = line(row, &date, &commit, &machine()?);
    let text = fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
    let text = with_line(&text, &line).with_context(|| format!("find the table in {}", path.display()))?;
    fs::write(path, text).with_context(|| format!("write {}", path.display()))
}

fn line(row: &Row<'_>, date: &str, commit: &str, machine: &str) -> String {
    let Row { part, what, outcome, repeat } = row;
    let (figures, violations) = match outcome {
        Ok(figures) => (figures.clone(), "0".to_owned()),
        Err(error) => {
            let text = format!("{error:#}");
            ("–".to_owned(), format!("**1: {}**", text.lines().next().unwrap_or_default()))
        }
    };
    let cells = [*part, what, &figures, &violations, &format!("`{repeat}`"), date, commit, machine];
    let cells: Vec<String> = cells.iter().map(|cell| cell.replace('|', "¦").replace('\n', " ")).collect();
    format!("| {} |", cells.join(" | "))
}

/// The text with `line` in place of the row of the same part, or at the end of the table.
fn with_line(text: &str, line: &str) -> Option<String> {
    let part = |line: &str| line.strip_prefix("| ")?.split(" | ").next().map(str::to_owned);
    let mut lines: Vec<&str> = text.lines().collect();
    let same = lines.iter().position(|old| part(old).is_some() && part(old) == part(line));
    match same {
        Some(at) => lines[at] = line,
        None => {
            let last = lines.iter().rposition(|line| line.starts_with('|'))?;
            lines.insert(last + 1, line);
        }
    }
    Some(lines.join("\n") + "\n")
}

/// The commit that was tried, and whether anything but the evidence was changed since.
fn commit(evidence: &Path) -> Result<String> {
    let hash = printed(Command::new("git").args(["rev-parse", "--short", "HEAD"]))?;
    let changes = printed(Command::new("git").args(["status", "--porcelain", "--untracked-files=no"]))?;
    let name = evidence.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let is_changed = changes.lines().any(|change| !change.ends_with(&name));
    Ok(if is_changed { format!("{hash} and changes") } else { hash })
}

fn machine() -> Result<String> {
    let first = |path: &str, prefix: &str| -> Result<String> {
        let text = fs::read_to_string(path).with_context(|| format!("read {path}"))?;
        let value = text.lines().find_map(|line| line.strip_prefix(prefix)?.split_once(':'));
        Ok(value.map_or("unknown", |(_, value)| value.trim()).to_owned())
    };
    let n_cores = std::thread::available_parallelism().map_or(1, usize::from);
    let processor = first("/proc/cpuinfo", "model name")?;
    let memory = first("/proc/meminfo", "MemTotal")?;
    let kibibytes: u64 = memory.trim_end_matches(" kB").parse().unwrap_or_default();
    let system = printed(Command::new("uname").args(["-sr"]))?;
    Ok(format!("{n_cores} cores of {processor}, {} GiB, {system}", kibibytes.div_ceil(1 << 20)))
}

fn printed(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("run {command:?}"))?;
    ensure!(output.status.success(), "run {command:?}: it ended with {}", output.status);
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str =
        "# Evidence\n\n| part | what |\n| --- | --- |\n| kills | old |\n| cuts | old |\n\nMore.\n";

    #[test]
    fn a_part_replaces_its_own_row_alone() {
        let text = with_line(TEXT, "| kills | new |").expect("a table");
        assert_eq!(text, TEXT.replace("kills | old", "kills | new"));
        let text = with_line(&text, "| flips | new |").expect("a table");
        assert!(text.contains("| cuts | old |\n| flips | new |\n\nMore.\n"), "{text}");
        assert_eq!(with_line("no table", "| kills | new |"), None);
    }

    #[test]
    fn a_violation_shows() {
        let row = |outcome: &Result<String>| {
            line(&Row { part: "kills", what: "w", outcome, repeat: "r" }, "d", "c", "m")
        };
        let figures = Ok("7 | kills".to_owned());
        assert_eq!(row(&figures), "| kills | w | 7 ¦ kills | 0 | `r` | d | c | m |");
        let error = Err(anyhow::anyhow!("a batch is lost\nlog").context("kill 3"));
        assert_eq!(row(&error), "| kills | w | – | **1: kill 3: a batch is lost** | `r` | d | c | m |");
    }
}
