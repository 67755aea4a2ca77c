//! `tollgate credential new-key`: a key to make credentials with.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::Context as _;
use tollgate_rules::KeyRing;
use tollgate_wire::Timestamp;

use crate::exit::{self, Exit};
use crate::output;

/// What a new file says of itself.
const HEADING: &str = "\
# Keys of Tollgate, one a line: KEY-ID SECRET. Who can read them can make credentials.
# The first makes credentials, each verifies those made with it. For a new one, put it first and send the collector SIGHUP.
";

/// Makes a key in a new file, which only its owner can read.
///
/// An existing file is left as it is. To change keys, put a new line before the others.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  tollgate credential new-key /etc/tollgate/keys
  (umask 077; tollgate credential new-key - | cat - keys > keys.new && mv keys.new keys)

Exit codes: 0 the key was made, 1 the file is there already or cannot be written, 2 wrong usage")]
pub(super) struct Args {
    /// The new file; - prints the key's line instead.
    #[arg(value_name = "FILE|-")]
    file: PathBuf,
    /// What the key is called, in each of its credentials [default: today's date].
    #[arg(long, value_name = "KEY-ID")]
    id: Option<String>,
}

pub(super) fn run(args: &Args) -> anyhow::Result<Exit> {
    let mut secret = [0; 32];
    getrandom::fill(&mut secret).context("get random bytes from the system")?;
    let id = args.id.clone().unwrap_or_else(today);
    let line = KeyRing::new_line(&id, secret).map_err(|error| exit::as_usage(&error.into()))?;
    if args.file == Path::new("-") {
        let mut out = output::stdout();
        out.write_all(line.as_bytes()).and_then(|()| out.flush()).context("write the key")?;
        return Ok(Exit::Ok);
    }
    let shown = args.file.display();
    match write(&args.file, &format!("{HEADING}{line}")) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let file_is_there = anyhow::anyhow!("make {shown}: it is there already, and was left as it is");
            let hint = "`tollgate credential new-key -` prints a line to put before the others";
            return Err(exit::with_hint(&file_is_there, hint));
        }
        Err(error) => return Err(error).with_context(|| format!("write {shown}")),
    }
    let mut out = output::stdout();
    writeln!(out, "made the key {id} in {shown}")
        .and_then(|()| out.flush())
        .context("write what was done")?;
    Ok(Exit::Ok)
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    let mut file: File = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())?;
    #[expect(
        clippy::disallowed_methods,
        reason = "no part of a ledger; without its key a credential is worthless"
    )]
    file.sync_all()
}

fn today() -> String {
    #[expect(clippy::disallowed_methods, reason = "the edge: the clock is read once")]
    let now = Timestamp::from_system_time(SystemTime::now()).to_string();
    now.chars().take("YYYY-MM-DD".len()).collect()
}
