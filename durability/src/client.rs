//! A lean sender: one connection, one request at a time, no retries.

use std::collections::HashMap;
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;

use crate::batches::Batches;

/// A collector that says nothing for so long never will.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// How a connection ends when the collector does.
const ENDS: [io::ErrorKind; 4] = [
    io::ErrorKind::UnexpectedEof,
    io::ErrorKind::ConnectionReset,
    io::ErrorKind::ConnectionAborted,
    io::ErrorKind::BrokenPipe,
];

/// A connection to a collector.
#[derive(Debug)]
pub struct Client {
    stream: TcpStream,
    /// Read and not yet used.
    buffer: Vec<u8>,
}

/// What came back, as a whole.
#[derive(Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub body: Vec<u8>,
}

#[derive(Deserialize)]
struct Response {
    #[serde(rename = "env-responses")]
    env_responses: Option<HashMap<String, EnvResponse>>,
}

#[derive(Deserialize)]
struct EnvResponse {
    #[serde(rename = "acks")]
    acknowledged: Option<Vec<String>>,
}

impl Client {
    /// Connects.
    ///
    /// # Errors
    ///
    /// When nobody listens there.
    pub fn connect(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
        stream.set_write_timeout(Some(ANSWER_TIMEOUT))?;
        Ok(Self { stream, buffer: Vec::new() })
    }

    /// Posts a document and waits for the whole answer; `None` when the connection ends before: then nothing is known
    /// of what was sent.
    ///
    /// # Errors
    ///
    /// When the collector is silent, or what it says is no HTTP.
    pub fn post(&mut self, document: &str) -> Result<Option<Answer>> {
        let mut request =
            format!("POST /metrics HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n", document.len());
        request.push_str(document);
        match self.stream.write_all(request.as_bytes()).and_then(|()| self.answer()) {
            Ok(answer) => Ok(Some(answer)),
            Err(error) if ENDS.contains(&error.kind()) => Ok(None),
            Err(error) => Err(error).context("wait for the answer to a post"),
        }
    }

    fn answer(&mut self) -> io::Result<Answer> {
        let head_bytes = loop {
            if let Some(at) = self.buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                break at + 4;
            }
            self.read_more()?;
        };
        let head = String::from_utf8_lossy(&self.buffer[..head_bytes]).to_ascii_lowercase();
        let status = head.split(' ').nth(1).and_then(|word| word.parse().ok());
        let length =
            head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok());
        let (Some(status), Some(length)) = (status, length) else {
            return Err(io::Error::other(format!("no status or no length in the answer {head:?}")));
        };
        let whole = head_bytes + length;
        while self.buffer.len() < whole {
            self.read_more()?;
        }
        let body = self.buffer[head_bytes..whole].to_vec();
        self.buffer.drain(..whole);
        Ok(Answer { status, body })
    }

    fn read_more(&mut self) -> io::Result<()> {
        let mut some = [0; 16 << 10];
        loop {
            match self.stream.read(&mut some) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(n) => {
                    self.buffer.extend_from_slice(&some[..n]);
                    return Ok(());
                }
                // With a time limit it happens without any signal that we would have asked for.
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

impl Answer {
    /// The batches that it acknowledges; none when it asks to send again (503, 507).
    ///
    /// # Errors
    ///
    /// When it is no answer that a collector gives to these batches: another status, a batch that was not in
    /// the request or is under another model, or one that is missing.
    pub fn acknowledged(&self, batches: Batches, sent: &[usize]) -> Result<Vec<usize>> {
        let said = || String::from_utf8_lossy(&self.body[..self.body.len().min(300)]).into_owned();
        match self.status {
            200 => {}
            503 | 507 => return Ok(Vec::new()),
            other => bail!("a collector answered {other}: {}", said()),
        }
        let response: Response =
            serde_json::from_slice(&self.body).with_context(|| format!("decode the answer {}", said()))?;
        let mut acknowledged = Vec::new();
        for (model, of_model) in response.env_responses.into_iter().flatten() {
            for uuid in of_model.acknowledged.into_iter().flatten() {
                let index = batches.index_of(&uuid).filter(|index| sent.contains(index));
                let Some(index) = index.filter(|&index| batches.at(index).model == model) else {
                    bail!("an answer acknowledges {uuid} of {model}, which its request did not have");
                };
                acknowledged.push(index);
            }
        }
        if let Some(missing) = sent.iter().find(|index| !acknowledged.contains(index)) {
            bail!("an answer with status 200 does not acknowledge batch {missing}: {}", said());
        }
        Ok(acknowledged)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_held_to_its_request() {
        let batches = Batches { seed: 3 };
        let (batch, other) = (batches.at(0), batches.at(1));
        let answer = |model: &str, uuids: &[&str]| Answer {
            status: 200,
            body: serde_json::json!({"env-responses": {model: {"acks": uuids}}}).to_string().into_bytes(),
        };
        let acknowledged = |answer: Answer| answer.acknowledged(batches, &[0]);
        assert_eq!(acknowledged(answer(&batch.model, &[&batch.uuid])).expect("whole"), [0]);
        for bad in [
            answer(&batch.model, &[]),
            answer("another", &[&batch.uuid]),
            answer(&other.model, &[&batch.uuid, &other.uuid]),
            Answer { status: 202, body: Vec::new() },
        ] {
            assert!(acknowledged(bad).is_err());
        }
        assert_eq!(acknowledged(Answer { status: 503, body: Vec::new() }).expect("send again"), [0; 0]);
    }
}
