//! Rows of a listing as a table, JSON or CSV.

use std::io::{IsTerminal as _, Write};

use anyhow::Context as _;
use clap::ValueEnum;
use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::admin::{Address, Admin, block_on};
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

/// A listing of a collector, and how its rows are laid out.
pub(crate) struct Listing {
    /// The last part of the path under `/api/v1/`.
    pub(crate) path: &'static str,
    /// What is asked for.
    pub(crate) parameters: Vec<(String, String)>,
    /// Rows asked for at a time: the most that the collector gives.
    pub(crate) page_rows: usize,
    /// The columns of the table; numbers, which stand on the right, are marked.
    pub(crate) columns: Vec<(String, CellAlignment)>,
}

impl Listing {
    /// One without parameters.
    pub(crate) fn new(path: &'static str, columns: &[(&str, CellAlignment)]) -> Self {
        Self {
            path,
            parameters: Vec::new(),
            page_rows: 1_000,
            columns: columns.iter().map(|(name, alignment)| ((*name).to_owned(), *alignment)).collect(),
        }
    }
}

/// What can be listed.
pub(crate) trait Row: Serialize + DeserializeOwned {
    /// The cells of the table, printable.
    fn cells(&self, listing: &Listing) -> Vec<String>;
}

/// Lists all rows.
pub(crate) fn run<T: Row>(flags: &Flags, listing: &Listing) -> anyhow::Result<Exit> {
    let admin = Admin::new(&flags.address)?;
    let mut out = output::stdout();
    block_on(async {
        match flags.format {
            Format::Table => table::<T>(&admin, listing, &mut out).await,
            Format::Json => json::<T>(&admin, listing, &mut out).await,
            Format::Csv => csv(&admin, listing, &mut out).await,
        }
    })?;
    out.flush().context("write the rows")?;
    Ok(Exit::Ok)
}

/// All rows at once: the widths depend on every row.
async fn table<T: Row>(admin: &Admin, listing: &Listing, out: &mut impl Write) -> anyhow::Result<()> {
    let columns: Vec<_> = listing.columns.iter().map(|(name, alignment)| (&**name, *alignment)).collect();
    let mut table = plain_table(&columns);
    let add = |rows: Vec<T>| {
        table.add_rows(rows.iter().map(|row| row.cells(listing)));
        Ok(())
    };
    admin.each_page(listing, add).await?;
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

async fn json<T: Row>(admin: &Admin, listing: &Listing, out: &mut impl Write) -> anyhow::Result<()> {
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
    admin.each_page(listing, write).await?;
    writeln!(out, "\n]").context("write the rows")
}

/// The collector's own CSV, with the names of the columns once.
async fn csv(admin: &Admin, listing: &Listing, out: &mut impl Write) -> anyhow::Result<()> {
    let mut names_bytes = None;
    let write = |page: &[u8]| {
        let start = *names_bytes.get_or_insert(0);
        out.write_all(page.get(start..).unwrap_or_default()).context("write the rows")?;
        names_bytes = Some(first_record_bytes(page)?);
        Ok(())
    };
    admin.each_csv_page(listing, write).await
}

/// How long the first record of a page is; the names of columns may have line ends in them.
fn first_record_bytes(page: &[u8]) -> anyhow::Result<usize> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(page);
    reader.read_byte_record(&mut csv::ByteRecord::new()).context("read the names of the columns")?;
    usize::try_from(reader.position().byte()).context("read the names of the columns")
}
