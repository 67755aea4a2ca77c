//! Rows of a listing as a table, JSON or CSV.

use std::io::{IsTerminal as _, Write};

use anyhow::Context as _;
use clap::ValueEnum;
use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::admin::{Address, Admin};
use crate::exit::Exit;
use crate::output;

/// How rows are printed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    #[default]
    Table,
    /// One array of objects, with everything that is known of each row
    Json,
    /// A line for each row, after a line of names
    Csv,
}

/// The flags of every command that lists something.
#[derive(Debug, clap::Args)]
pub(crate) struct Flags {
    #[command(flatten)]
    address: Address,
    /// How the rows are printed.
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t)]
    format: Format,
}

/// What can be listed.
pub(crate) trait Row: Serialize + DeserializeOwned {
    /// The last part of the path under `/api/v1/`.
    const LISTING: &str;
    /// The columns of the table; numbers, which stand on the right, are marked.
    const COLUMNS: &[(&str, CellAlignment)];
    /// The cells of the table, printable.
    fn cells(&self) -> Vec<String>;
    /// The names of the CSV columns.
    const CSV_COLUMNS: &[&str];
    /// One or more lines of CSV.
    fn csv(&self) -> Vec<Vec<String>>;
}

/// Lists all rows.
pub(crate) fn run<T: Row>(flags: &Flags) -> anyhow::Result<Exit> {
    let admin = Admin::new(&flags.address)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("start a network thread")?;
    let mut out = output::stdout();
    runtime.block_on(async {
        match flags.format {
            Format::Table => table::<T>(&admin, &mut out).await,
            Format::Json => json::<T>(&admin, &mut out).await,
            Format::Csv => csv::<T>(&admin, &mut out).await,
        }
    })?;
    out.flush().context("write the rows")?;
    Ok(Exit::Ok)
}

/// All rows at once: the widths depend on every row.
async fn table<T: Row>(admin: &Admin, out: &mut impl Write) -> anyhow::Result<()> {
    let mut table = plain_table(T::COLUMNS);
    let add = |rows: Vec<T>| {
        table.add_rows(rows.iter().map(Row::cells));
        Ok(())
    };
    admin.each_page(T::LISTING, add).await?;
    writeln!(out, "{}", table.trim_fmt()).context("write the table")
}

/// A table for standard output: as wide as the terminal, and never wrapped in a pipe.
pub(crate) fn plain_table(columns: &[(&str, CellAlignment)]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(columns.iter().map(|(name, _)| *name));
    if std::io::stdout().is_terminal() {
        let (_, width) = console::Term::stdout().size();
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
    }
    for (index, (_, alignment)) in columns.iter().enumerate() {
        if let Some(column) = table.column_mut(index) {
            column.set_cell_alignment(*alignment);
            column.set_padding((0, 2));
        }
    }
    table
}

async fn json<T: Row>(admin: &Admin, out: &mut impl Write) -> anyhow::Result<()> {
    let mut n_rows = 0_u64;
    write!(out, "[").context("write the rows")?;
    let write = |rows: Vec<T>| {
        for row in rows {
            write!(out, "{}", if n_rows == 0 { "\n" } else { ",\n" }).context("write a row")?;
            serde_json::to_writer(&mut *out, &row).map_err(std::io::Error::from).context("write a row")?;
            n_rows += 1;
        }
        Ok(())
    };
    admin.each_page(T::LISTING, write).await?;
    writeln!(out, "\n]").context("write the rows")
}

async fn csv<T: Row>(admin: &Admin, out: &mut impl Write) -> anyhow::Result<()> {
    let mut writer = csv::Writer::from_writer(out);
    writer.write_record(T::CSV_COLUMNS).context("write the names")?;
    let write = |rows: Vec<T>| {
        for line in rows.iter().flat_map(Row::csv) {
            writer.write_record(&line).context("write a row")?;
        }
        Ok(())
    };
    admin.each_page(T::LISTING, write).await?;
    writer.flush().context("write the rows")
}
