//! `tollgate-durability`: the parts of the evidence, each as a command. `cargo xtask durability` builds what it needs and runs it.

#![expect(clippy::print_stdout, reason = "it tells what it did")]

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context as _, Result};
use clap::{Parser, Subcommand};
use tollgate_durability::evidence::{self, Row};
use tollgate_durability::{cuts, deliveries, faults, flips, kills, loop_disk, moves, power};

#[derive(Parser)]
#[command(name = "tollgate-durability", bin_name = "cargo xtask durability", disable_help_subcommand = true)]
struct Arguments {
    #[command(subcommand)]
    part: Part,
    #[command(flatten)]
    run: Run,
}

/// What all parts have in common.
#[derive(clap::Args)]
struct Run {
    /// The built program
    #[arg(long, value_name = "FILE", global = true, default_value = "target/release/tollgate")]
    tollgate: PathBuf,
    /// Where ledgers are made; when left out, in memory where that makes no difference, and else in the system's
    /// temporary folder
    #[arg(long, value_name = "DIR", global = true)]
    folder: Option<PathBuf>,
    /// What the run follows from
    #[arg(long, global = true, default_value_t = 1)]
    seed: u64,
    /// The table that gets the outcome
    #[arg(long, value_name = "FILE", global = true)]
    evidence: Option<PathBuf>,
}

#[derive(Subcommand)]
enum Part {
    /// Kill a collector under load, and while it starts
    Kills {
        /// How often, under load
        #[arg(long, default_value_t = N_CYCLES)]
        cycles: u64,
    },
    /// Kill an agent and a collector, with a proxy between them that cuts connections and drops answers
    Deliveries {
        /// How often
        #[arg(long, default_value_t = N_DELIVERY_CYCLES)]
        cycles: u64,
    },
    /// Kill a migration from a folder into PostgreSQL
    Migrate {
        /// Batches of the ledger
        #[arg(long, default_value_t = N_MOVED)]
        batches: u64,
    },
    /// Cut the power of a simulated disk
    Cuts {
        /// How often
        #[arg(long, default_value_t = N_CUTS)]
        cuts: u64,
    },
    /// Cut the power of real file systems under load; needs root and loop devices
    Power {
        /// How often, for each file system
        #[arg(long, default_value_t = N_REAL_CUTS)]
        cycles: u64,
        /// Only say whether this machine can
        #[arg(long)]
        try_out: bool,
    },
    /// Let every system call that changes a ledger's folder fail, or kill the program at it
    Faults {
        /// Then also at every call of the recovery from a kill at every call, which takes minutes
        #[arg(long)]
        pairs: bool,
    },
    /// Change every byte of a ledger's files, cut them at every length, take them away
    Flips {
        /// One bit of each byte, and not all eight
        #[arg(long)]
        one_bit: bool,
    },
}

/// A file system in memory, on nearly every Linux.
const MEMORY: &str = "/dev/shm";

const N_CYCLES: u64 = 2_000;
const N_DELIVERY_CYCLES: u64 = 5_000;
const N_REAL_CUTS: u64 = 1_000;
const N_MOVED: u64 = 1_000_000;
const N_CUTS: u64 = 10_000_000;

fn main() -> Result<()> {
    let Arguments { part, run } = Arguments::parse();
    run.part(&part)
}

impl Run {
    /// Runs one part, tells what came of it, and writes it into the table.
    fn part(&self, part: &Part) -> Result<()> {
        let Self { tollgate, seed, evidence, .. } = self;
        let on_disk = self.folder.clone().unwrap_or_else(std::env::temp_dir);
        // What a sync does is of no account there: no power is cut.
        let in_memory = Some(PathBuf::from(MEMORY)).filter(|folder| folder.is_dir());
        let in_memory = self.folder.clone().or(in_memory).unwrap_or_else(std::env::temp_dir);
        let started = Instant::now();
        let (name, what, options, outcome) = match part {
            Part::Kills { cycles } => (
                "kills",
                "`kill -9` of the program while 8 senders post new batches, resends and copies, and while it starts or recovers",
                format!(" --cycles {cycles} --seed {seed}"),
                kills::run(tollgate, &on_disk, *cycles, *seed).map(|report| report.to_string()),
            ),
            Part::Deliveries { cycles } => (
                "deliveries",
                "`kill -9` of an agent and of a collector at random while applications post readings and a counter is read, with a proxy between the two that \
                 refuses and cuts connections and drops answers",
                format!(" --cycles {cycles} --seed {seed}"),
                deliveries::run(tollgate, &on_disk, *cycles, *seed).map(|report| report.to_string()),
            ),
            Part::Migrate { batches } => (
                "migrate",
                "`kill -9` of `tollgate migrate` three times on its way from a folder into PostgreSQL",
                format!(" --batches {batches} --seed {seed}"),
                moves::run(tollgate, &on_disk, *batches, *seed).map(|report| report.to_string()),
            ),
            Part::Cuts { cuts } => (
                "cuts",
                "power cuts of a simulated disk that loses, keeps, tears and reorders what was not synced",
                format!(" --cuts {cuts} --seed {seed}"),
                cuts::run(*cuts, *seed).map(|report| report.to_string()),
            ),
            Part::Power { try_out: true, .. } => return loop_disk::try_out(&on_disk),
            Part::Power { cycles, try_out: false } => (
                "power",
                "the power of ext4 and XFS on a loop device cut while 8 senders post; and once without any sync, to see that loss shows",
                format!(" --cycles {cycles} --seed {seed}"),
                power::run(tollgate, &on_disk, *cycles, *seed).map(|report| report.to_string()),
            ),
            Part::Faults { pairs } => (
                "faults",
                "the program killed at every system call that changes a ledger's folder, and every such call failing with EIO and \
                 with ENOSPC: at the first start, while recording, while recovering",
                if *pairs { " --pairs".to_owned() } else { String::new() },
                faults::run(tollgate, &in_memory, *pairs).map(|report| report.to_string()),
            ),
            Part::Flips { one_bit } => (
                "flips",
                "every byte of a ledger's files changed, every length cut, every file taken away",
                if *one_bit { " --one-bit".to_owned() } else { String::new() },
                flips::run(&in_memory, bits(*one_bit)).map(|report| report.to_string()),
            ),
        };
        if let Ok(figures) = &outcome {
            println!("{name}: {figures}; 0 violations in {:.1} s", started.elapsed().as_secs_f64());
        }
        if let Some(path) = evidence {
            let repeat = format!("cargo xtask durability {name}{options}");
            evidence::record(path, &Row { part: name, what, outcome: &outcome, repeat: &repeat })?;
        }
        outcome.map(drop).with_context(|| format!("show durability, {name}"))
    }
}

fn bits(one_bit: bool) -> &'static [u8] {
    if one_bit { &[3] } else { &[0, 1, 2, 3, 4, 5, 6, 7] }
}
