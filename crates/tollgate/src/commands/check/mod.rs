//! `tollgate check`: whether documents are what the wire format says, and their canonical bytes.

use std::fs::File;
use std::io::{self, IsTerminal as _, Read, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::ValueEnum;

use crate::exit::Exit;
use crate::output;

mod document;
mod excerpt;
mod lines;

/// Checks documents of the wire format.
///
/// Accepts exactly what Go's json.Unmarshal into the type accepts.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  tollgate check batches.json
  tollgate check --type response --canonical answer.json
  zcat batches.jsonl.gz | tollgate check --lines

With --lines each line of input (it ends with 0x0A and nothing else) is a document of its own
and gives one line of output: `ok`, or with --canonical its canonical bytes; or `! ` and why not.

Exit codes: 0 every document is good, 1 one is bad or cannot be read, 2 wrong usage")]
pub(crate) struct Args {
    /// What the documents are.
    #[arg(long = "type", value_name = "TYPE", value_enum, default_value_t)]
    kind: Kind,
    /// Print exactly the bytes that Go's json.Marshal gives for the decoded value.
    #[arg(long)]
    canonical: bool,
    /// Each line is a document.
    #[arg(long)]
    lines: bool,
    /// The file to check; `-` is standard input.
    #[arg(value_name = "FILE", default_value = "-")]
    file: PathBuf,
}

/// The documents of the wire format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum Kind {
    /// What a sender posts: an array of batches, or null
    #[default]
    MetricBatches,
    /// What a Juju controller is answered
    Response,
    /// What JEM and JIMM are answered
    UserStatusResponse,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<Exit> {
    let name = if is_stdin(&args.file) { "standard input".into() } else { args.file.display().to_string() };
    let input = open(&args.file).with_context(|| format!("open {name}"))?;
    if args.lines {
        return lines::check(input, args.kind, args.canonical).with_context(|| format!("check {name}"));
    }
    one(input, args, &name)
}

/// Checks the whole input as one document.
fn one(mut input: Box<dyn Read>, args: &Args, name: &str) -> anyhow::Result<Exit> {
    let mut bytes = Vec::new();
    input.read_to_end(&mut bytes).with_context(|| format!("read {name}"))?;
    let mut canonical = Vec::new();
    let verdict = if args.canonical {
        document::canonical(args.kind, &bytes, &mut canonical).map(|()| None)
    } else {
        document::decode(args.kind, &bytes).map(Some)
    };
    let mut out = output::stdout();
    match verdict {
        Ok(None) => {
            // Exactly the canonical bytes, except where a person would find the prompt glued to them.
            if io::stdout().is_terminal() {
                canonical.push(b'\n');
            }
            out.write_all(&canonical).and_then(|()| out.flush()).context("write the canonical bytes")?;
            Ok(Exit::Ok)
        }
        Ok(Some(summary)) => {
            writeln!(out, "ok: {summary}").and_then(|()| out.flush()).context("write the verdict")?;
            Ok(Exit::Ok)
        }
        Err(flaw) => {
            let report = match flaw.offset {
                Some(offset) => excerpt::report(name, &bytes, offset, &flaw.reason),
                None => format!("{name}: {}", flaw.reason),
            };
            writeln!(io::stderr(), "{report}").context("write the reason")?;
            Ok(Exit::Failed)
        }
    }
}

fn open(file: &Path) -> io::Result<Box<dyn Read>> {
    Ok(if is_stdin(file) { Box::new(io::stdin()) } else { Box::new(File::open(file)?) })
}

fn is_stdin(file: &Path) -> bool {
    file.as_os_str() == "-"
}
