//! `tollgate`, the one binary: a usage-metering collector and the tools around it.
//!
//! This crate is the rim. It reads the command line and the configuration, names the concrete ledger, prints,
//! and turns errors into exit codes. It decides nothing about batches: the format is `tollgate-wire`, the rules
//! are `tollgate-rules`, HTTP is `tollgate-collector`, storage is `tollgate-ledger-embedded`, the sending side is
//! `tollgate-sender`.
//!
//! Reading order: [`cli`] (what can be asked), [`commands`] (a file for each command), [`configuration`] (where settings
//! come from), [`keys`] (what credentials are made with), [`ledger`] (where the concrete ledger is named), [`admin`] and [`listing`] (asking a running collector),
//! [`exit`] (how it ends), [`output`] (standard output that may be closed early).

use std::process::ExitCode;

use clap::Parser as _;

mod admin;
mod cli;
mod commands;
mod configuration;
mod exit;
mod keys;
mod ledger;
mod listing;
mod logging;
mod open_files;
mod output;
mod progress;
mod sending;
mod words;

/// A batch is some twenty allocations, made on one thread and freed on another: the system's allocator takes longer for them than
/// the decoder for the batch.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // Wrong usage ends inside `parse`, with clap's exit code 2.
    let cli = cli::Cli::parse();
    // Every client of HTTP wants to know who does its cryptography; it fails only when that is settled already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    exit::conclude(commands::run(cli.command))
}
