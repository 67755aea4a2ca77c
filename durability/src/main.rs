//! `tollgate-durability`: the parts of the evidence, each as a command.

#![expect(clippy::print_stdout, reason = "it tells what it did")]

use std::path::PathBuf;

use anyhow::Result;
use clap::{Parser, Subcommand};
use tollgate_durability::{cuts, flips, kills};

#[derive(Parser)]
#[command(name = "tollgate-durability", disable_help_subcommand = true)]
struct Arguments {
    #[command(subcommand)]
    part: Part,
    /// The built program
    #[arg(long, value_name = "FILE", global = true, default_value = "target/release/tollgate")]
    tollgate: PathBuf,
    /// Where ledgers are made
    #[arg(long, value_name = "DIR", global = true, default_value_os_t = std::env::temp_dir())]
    folder: PathBuf,
    /// What the run follows from
    #[arg(long, global = true, default_value_t = 1)]
    seed: u64,
}

#[derive(Subcommand)]
enum Part {
    /// Kill a collector under load, and while it starts
    Kills {
        /// How often, under load
        #[arg(long, default_value_t = 2_000)]
        cycles: u64,
    },
    /// Cut the power of a simulated disk
    Cuts {
        /// How often
        #[arg(long, default_value_t = 10_000_000)]
        cuts: u64,
    },
    /// Change every byte of a ledger's files, cut them at every length, take them away
    Flips {
        /// One bit of each byte, and not all eight
        #[arg(long)]
        one_bit: bool,
    },
}

fn main() -> Result<()> {
    let Arguments { part, tollgate, folder, seed } = Arguments::parse();
    match part {
        Part::Kills { cycles } => println!("{}", kills::run(&tollgate, &folder, cycles, seed)?),
        Part::Cuts { cuts } => println!("{}", cuts::run(cuts, seed)?),
        Part::Flips { one_bit } => {
            let bits: &[u8] = if one_bit { &[3] } else { &[0, 1, 2, 3, 4, 5, 6, 7] };
            println!("{}", flips::run(&folder, bits)?);
        }
    }
    Ok(())
}
