//! Many documents, one a line, each answered by one line.

use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;

use anyhow::Context as _;

use super::{Kind, document};
use crate::exit::Exit;
use crate::output;

/// Bytes read at a time.
const READ_BYTES: usize = 1 << 20;
/// Answers are handed to the writing thread in pieces of about this size.
const PIECE_BYTES: usize = 64 * 1024;
/// Pieces that may wait for the reader of our output, about 64 MiB. A peer that writes a stretch of lines before it
/// reads the answers would otherwise stand still with both pipes full.
const PIECES_MAX: usize = 1024;

/// Answers every line of `input`, in order.
pub(super) fn check(input: impl Read, kind: Kind, canonical: bool) -> anyhow::Result<Exit> {
    let (pieces, waiting) = sync_channel::<Vec<u8>>(PIECES_MAX);
    let writer = thread::spawn(move || -> std::io::Result<()> {
        let mut out = output::stdout();
        for piece in waiting {
            out.write_all(&piece)?;
            out.flush()?;
        }
        Ok(())
    });
    let answered = answer(input, kind, canonical, &pieces);
    drop(pieces);
    match writer.join() {
        Ok(written) => written.context("write the answers")?,
        Err(panic) => std::panic::resume_unwind(panic),
    }
    answered
}

/// Stops early, with `Ok`, when the writing thread has gone: it knows why.
fn answer(
    input: impl Read,
    kind: Kind,
    canonical: bool,
    pieces: &SyncSender<Vec<u8>>,
) -> anyhow::Result<Exit> {
    let mut reader = BufReader::with_capacity(READ_BYTES, input);
    let mut exit = Exit::Ok;
    let mut line = Vec::new();
    let mut piece = Vec::with_capacity(PIECE_BYTES + PIECE_BYTES / 2);
    loop {
        // Nothing more can be answered without waiting for input, so nothing may be held back.
        let must_wait = memchr::memchr(b'\n', reader.buffer()).is_none();
        if !piece.is_empty() && (must_wait || PIECE_BYTES <= piece.len()) {
            let full = std::mem::replace(&mut piece, Vec::with_capacity(PIECE_BYTES + PIECE_BYTES / 2));
            if pieces.send(full).is_err() {
                return Ok(exit);
            }
        }
        line.clear();
        if reader.read_until(b'\n', &mut line).context("read a line")? == 0 {
            return Ok(exit);
        }
        // Only 0x0A ends a line: a 0x0D before it belongs to the document, where JSON takes it as a blank.
        let text = line.strip_suffix(b"\n").unwrap_or(&line);
        if !answer_line(text, kind, canonical, &mut piece) {
            exit = Exit::Failed;
        }
    }
}

/// Appends the answer to one document; says whether the document is good.
fn answer_line(text: &[u8], kind: Kind, canonical: bool, piece: &mut Vec<u8>) -> bool {
    let start = piece.len();
    let verdict = if canonical {
        document::canonical(kind, text, piece)
    } else {
        document::decode(kind, text).map(|_| piece.extend_from_slice(b"ok"))
    };
    if let Err(flaw) = &verdict {
        piece.truncate(start);
        piece.extend_from_slice(b"! ");
        // One line, whatever the document put into the reason.
        piece.extend(
            flaw.reason.chars().map(|c| if c.is_control() { ' ' } else { c }).collect::<String>().bytes(),
        );
    }
    piece.push(b'\n');
    verdict.is_ok()
}
