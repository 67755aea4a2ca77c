//! As much of HTTP as a lean client and a server that does nothing need.

use std::io::{self, Read};

use anyhow::{Context as _, Result, bail, ensure};
use memchr::memmem;

use crate::chunk::Chunk;

/// The bytes of one message, collected over several reads; kept for its memory.
#[derive(Debug, Default)]
pub struct Message {
    bytes: Vec<u8>,
    n_filled: usize,
    /// Where the body begins and ends, once the head is there.
    body: Option<(usize, usize)>,
}

impl Message {
    /// Forgets what was collected.
    pub fn clear(&mut self) {
        self.n_filled = 0;
        self.body = None;
    }

    /// Reads once. True when the message is complete.
    ///
    /// # Errors
    ///
    /// When it cannot be read, ends early, or says no length.
    pub fn read(&mut self, stream: &mut impl Read) -> Result<bool> {
        if self.bytes.len() < self.n_filled + (64 << 10) {
            self.bytes.resize(self.n_filled + (256 << 10), 0);
        }
        let n_read = match stream.read(&mut self.bytes[self.n_filled..]) {
            Ok(n_read) => n_read,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(error).context("read a message"),
        };
        ensure!(n_read != 0, "the connection ended after {} bytes of a message", self.n_filled);
        self.n_filled += n_read;
        if self.body.is_none() {
            let filled = &self.bytes[..self.n_filled];
            let Some(end) = memmem::find(filled, b"\r\n\r\n") else { return Ok(false) };
            let length = content_length(&filled[..end])?;
            self.body = Some((end + 4, end + 4 + length));
        }
        Ok(self.body.is_some_and(|(_, end)| end <= self.n_filled))
    }

    /// Its head and its body, once it is complete.
    fn parts(&self) -> (&[u8], &[u8]) {
        let (begin, end) = self.body.unwrap_or_default();
        (&self.bytes[..begin], &self.bytes[begin..end])
    }

    /// Its body, once it is complete.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        self.parts().1
    }

    /// The ids of the batches in it, taken to be as the benchmark's own chunks have them.
    pub fn ids(&self) -> impl Iterator<Item = &[u8]> {
        let body = self.body();
        memmem::find_iter(body, ID).filter_map(|offset| body.get(offset + ID.len()..)?.get(..36))
    }

    /// Checks that this is an answer that acknowledges every batch of `chunk`, in its order.
    ///
    /// # Errors
    ///
    /// When it is not 200 or a batch is missing: the benchmark counts nothing that was not acknowledged.
    pub fn check_acknowledges(&self, chunk: &Chunk) -> Result<()> {
        let (head, body) = self.parts();
        if !head.starts_with(b"HTTP/1.1 200") {
            bail!("refused: {} {}", String::from_utf8_lossy(head), String::from_utf8_lossy(body));
        }
        let acks = memmem::find(body, ACKS).context("find acknowledgements in an answer")? + ACKS.len();
        let mut rest = &body[acks..];
        for id in chunk.ids() {
            let (ack, after) = rest.split_at_checked(id.len() + 3).context("find an acknowledgement")?;
            ensure!(
                &ack[1..=id.len()] == id,
                "batch {} is not acknowledged in its place",
                String::from_utf8_lossy(id)
            );
            rest = after;
        }
        Ok(())
    }
}

const ACKS: &[u8] = br#""acks":["#;
const ID: &[u8] = br#"{"uuid":""#;

fn content_length(head: &[u8]) -> Result<usize> {
    let head = std::str::from_utf8(head).context("read a head")?;
    let line = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then_some(value)
    });
    line.context("find a Content-Length")?.trim().parse().context("read a Content-Length")
}
