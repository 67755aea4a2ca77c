//! Rows as JSON or CSV, whichever was asked for.

use axum::http::header::{ACCEPT, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tracing::error;

use crate::admin_routes::Rows;
use crate::problem::Problem;

/// The cursor of the next page, where the body has no place for it.
const NEXT_CURSOR: HeaderName = HeaderName::from_static("next-cursor");

/// In which form a listing is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Json,
    Csv,
}

impl Format {
    /// `?format=` says it, for browsers, or else the `Accept` header; JSON where neither does.
    pub(crate) fn asked(parameter: Option<&str>, headers: &HeaderMap) -> Result<Self, Problem> {
        match parameter {
            Some("json") => return Ok(Self::Json),
            Some("csv") => return Ok(Self::Csv),
            Some(other) => {
                let reason = format!("format {other:?} is neither json nor csv.");
                return Err(Problem::BadParameter { reason });
            }
            None => {}
        }
        let accepted = headers.get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let first =
            accepted.split(',').find_map(|range| match range.split(';').next().unwrap_or_default().trim() {
                "text/csv" => Some(Self::Csv),
                "application/json" => Some(Self::Json),
                _ => None,
            });
        Ok(first.unwrap_or(Self::Json))
    }
}

/// What has a form in CSV.
pub(crate) trait CsvRow {
    /// The names of the columns.
    fn columns() -> Vec<&'static str>;

    /// One or more lines.
    fn lines(&self) -> Vec<Vec<String>>;
}

/// A page of rows in the form asked for.
pub(crate) fn page<T: Serialize + CsvRow>(format: Format, rows: Rows<T>) -> Result<Response, Problem> {
    match format {
        Format::Json => Ok(axum::Json(rows).into_response()),
        Format::Csv => {
            let columns = T::columns().into_iter().map(str::to_owned).collect();
            csv(columns, rows.rows.iter().flat_map(CsvRow::lines), rows.next_cursor.as_deref())
        }
    }
}

/// Lines of CSV behind one with the names of the columns. The cursor of the next page is a header: CSV has no place for it.
pub(crate) fn csv(
    columns: Vec<String>,
    lines: impl Iterator<Item = Vec<String>>,
    next_cursor: Option<&str>,
) -> Result<Response, Problem> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let written = std::iter::once(columns)
        .chain(lines)
        .try_for_each(|line| writer.write_record(line.iter().map(|cell| harmless(cell).into_owned())));
    let body = written
        .map_err(csv::Error::into)
        .and_then(|()| writer.into_inner().map_err(|error: csv::IntoInnerError<_>| error.into_error()));
    let body = body.map_err(|error: std::io::Error| {
        error!(%error, "CSV cannot be written: a bug");
        Problem::Bug
    })?;
    // What senders wrote is in it: no browser is to guess that it is something else.
    let headers =
        [(CONTENT_TYPE, "text/csv; charset=utf-8; header=present"), (X_CONTENT_TYPE_OPTIONS, "nosniff")];
    let mut response = (headers, body).into_response();
    if let Some(cursor) = next_cursor.and_then(|cursor| HeaderValue::from_str(cursor).ok()) {
        response.headers_mut().insert(NEXT_CURSOR, cursor);
    }
    Ok(response)
}

/// A spreadsheet takes a cell that begins like a formula for one: an apostrophe keeps it a text.
fn harmless(cell: &str) -> std::borrow::Cow<'_, str> {
    if cell.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{cell}").into() } else { cell.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(parameter: Option<&str>, accept: &'static str, expected: Format) {
        let headers = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static(accept))]);
        assert_eq!(Format::asked(parameter, &headers).expect("a format"), expected, "{parameter:?} {accept}");
    }

    #[test]
    fn the_parameter_comes_before_the_header() {
        check(None, "*/*", Format::Json);
        check(None, "text/csv", Format::Csv);
        check(None, "application/json, text/csv;q=0.5", Format::Json);
        check(None, "text/html,text/csv;q=0.9,*/*", Format::Csv);
        check(Some("json"), "text/csv", Format::Json);
        check(Some("csv"), "application/json", Format::Csv);
        assert!(Format::asked(Some("xml"), &HeaderMap::new()).is_err());
    }

    #[test]
    fn no_cell_is_a_formula() {
        for (cell, expected) in [
            ("=1+1", "'=1+1"),
            ("+1", "'+1"),
            ("-1", "'-1"),
            ("@x", "'@x"),
            ("\tx", "'\tx"),
            ("a=1", "a=1"),
            ("", ""),
        ] {
            assert_eq!(harmless(cell), expected);
        }
    }
}
