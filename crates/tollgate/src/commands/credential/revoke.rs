//! `tollgate credential revoke`: a credential is good no longer.

use std::io::Write as _;

use anyhow::Context as _;
use reqwest::Method;
use serde::Deserialize;

use crate::admin::{Address, Admin, block_on};
use crate::exit::Exit;
use crate::output;
use crate::words::printable;

/// Takes a credential back, for ever: a collector that asks for credentials sets aside what carries it.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  tollgate credential revoke 00112233445566778899aabbccddeeff
  tollgate credential inspect credential.json

The id is what `tollgate credential inspect` shows. It is kept in the collector's ledger.

Exit codes: 0 it is revoked, 1 the collector cannot be reached or failed, 2 wrong usage")]
pub(crate) struct Args {
    /// The credential's id.
    id: String,
    #[command(flatten)]
    address: Address,
}

#[derive(Deserialize)]
struct Answer {
    credential_id: String,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<Exit> {
    let admin = Admin::new(&args.address)?;
    let segments = ["credentials", &args.id, "revoke"];
    let answer: Answer = block_on(admin.send(Method::POST, &segments, &serde_json::json!({})))?;
    let mut out = output::stdout();
    let line = writeln!(out, "{} is revoked", printable(&answer.credential_id));
    line.and_then(|()| out.flush()).context("write what was done")?;
    Ok(Exit::Ok)
}
