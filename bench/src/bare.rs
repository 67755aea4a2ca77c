//! Servers that do next to nothing, as limits: what the load costs by itself, and what a promise of durability costs at least.

use std::fs::File;
use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::thread::{self, JoinHandle};

use anyhow::{Context as _, Result};
use rustix::buffer::spare_capacity;
use rustix::event::epoll;

use crate::http::Message;

/// Starts a server that reads requests and answers each as if it had recorded everything: what the load costs by itself.
///
/// # Errors
///
/// When there is no free port.
pub fn start_null() -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").context("bind a free port")?;
    let address = listener.local_addr()?;
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || {
                // It ends when its client does.
                let _ = answer_all(stream);
            });
        }
    });
    Ok(address)
}

fn answer_all(mut stream: TcpStream) -> Result<()> {
    let mut request = Message::default();
    let mut answer = Vec::new();
    loop {
        request.clear();
        while !request.read(&mut stream)? {}
        acknowledge(&request, &mut answer);
        stream.write_all(&answer)?;
    }
}

/// A server that does what every collector has to and nothing else: one thread reads the requests that are there, appends them to
/// a file, syncs it once and answers them.
#[derive(Debug)]
pub struct Syncing {
    /// Where it listens.
    pub address: SocketAddr,
    thread: JoinHandle<Result<()>>,
}

impl Syncing {
    /// Starts one with its file in `parent`.
    ///
    /// # Errors
    ///
    /// When there is no free port or no file can be made.
    pub fn start(parent: &Path) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").context("bind a free port")?;
        let address = listener.local_addr()?;
        let file = tempfile::tempfile_in(parent).context("make a file")?;
        let thread = thread::spawn(move || sync_and_answer(&listener, &file));
        Ok(Self { address, thread })
    }

    /// Waits until it has noticed that its clients are gone, and its file too.
    ///
    /// # Errors
    ///
    /// When it failed before.
    pub fn end(self) -> Result<()> {
        self.thread.join().expect("a server does not panic")
    }
}

/// Serves the connections that come until the first of them ends.
fn sync_and_answer(listener: &TcpListener, mut file: &File) -> Result<()> {
    const LISTENER: u64 = u64::MAX;
    let ready = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    epoll::add(&ready, listener, epoll::EventData::new_u64(LISTENER), epoll::EventFlags::IN)?;
    let mut connections: Vec<(TcpStream, Message)> = Vec::new();
    let mut events: Vec<epoll::Event> = Vec::with_capacity(1 << 10);
    let (mut group, mut asked, mut answer) = (Vec::new(), Vec::new(), Vec::new());
    loop {
        events.clear();
        epoll::wait(&ready, spare_capacity(&mut events), None)?;
        for event in &events {
            let number = event.data.u64();
            if number == LISTENER {
                let (stream, _) = listener.accept()?;
                stream.set_nodelay(true)?;
                let data = epoll::EventData::new_u64(connections.len() as u64);
                epoll::add(&ready, &stream, data, epoll::EventFlags::IN | epoll::EventFlags::RDHUP)?;
                connections.push((stream, Message::default()));
                continue;
            }
            let flags = event.flags;
            if flags.contains(epoll::EventFlags::RDHUP) {
                return Ok(());
            }
            let (stream, request) = &mut connections[number as usize];
            if request.read(stream)? {
                group.extend_from_slice(request.body());
                asked.push(number as usize);
            }
        }
        if asked.is_empty() {
            continue;
        }
        file.write_all(&group)?;
        #[expect(clippy::disallowed_methods, reason = "the disk itself is what is measured")]
        file.sync_data()?;
        group.clear();
        for number in asked.drain(..) {
            let (stream, request) = &mut connections[number];
            acknowledge(request, &mut answer);
            request.clear();
            stream.write_all(&answer)?;
        }
    }
}

/// The answer that every batch of a request is recorded.
fn acknowledge(request: &Message, answer: &mut Vec<u8>) {
    answer.clear();
    answer.extend_from_slice(b"HTTP/1.1 200 OK\r\ncontent-length: 0000000\r\n\r\n");
    let begin = answer.len();
    answer.extend_from_slice(br#"{"env-responses":{"m":{"acks":["#);
    for id in request.ids() {
        answer.push(b'"');
        answer.extend_from_slice(id);
        answer.extend_from_slice(b"\",");
    }
    answer.extend_from_slice(b"]}}}");
    let length = format!("{:07}", answer.len() - begin);
    answer[begin - 4 - length.len()..begin - 4].copy_from_slice(length.as_bytes());
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::load::{Pace, post_singles};

    #[test]
    fn a_server_that_syncs_acknowledges_all_and_ends_with_its_clients() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let server = Syncing::start(folder.path())?;
        // The load fails at the first batch that is not acknowledged.
        let load = post_singles(server.address, 3, Pace::Unbounded, Duration::from_millis(20))?;
        assert!(load.n_batches() > load.n_untimed, "{load:?}");
        server.end()
    }
}
