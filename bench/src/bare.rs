//! Servers that do next to nothing, as limits: what the load costs by itself, and what a promise of durability costs at least.

use std::fs::File;
use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::thread;

use anyhow::{Context as _, Result};
use rustix::buffer::spare_capacity;
use rustix::event::epoll;

use crate::http::Message;
use crate::load::Load;

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

/// Loads a server that does what every collector has to and nothing else: one thread reads the requests that are there, appends
/// them to a file in `parent`, syncs it once and answers them. The file is gone when this returns.
///
/// # Errors
///
/// When there is no free port, no file can be made or written, or the load fails.
pub fn load_syncing(parent: &Path, load: impl FnOnce(SocketAddr) -> Result<Load>) -> Result<Load> {
    load_syncing_to(&tempfile::tempfile_in(parent).context("make a file")?, load)
}

fn load_syncing_to(file: &File, load: impl FnOnce(SocketAddr) -> Result<Load>) -> Result<Load> {
    let listener = TcpListener::bind("127.0.0.1:0").context("bind a free port")?;
    let address = listener.local_addr()?;
    thread::scope(|scope| {
        let server = scope.spawn(move || sync_and_answer(&listener, file));
        let loaded = load(address);
        // It ends with a client, also when the load had none. When it has ended already, nobody is there to connect to.
        let _ = TcpStream::connect(address);
        match (loaded, server.join().expect("a server does not panic")) {
            // Either may be the reason of the other.
            (Err(load), Err(server)) => Err(load.context(format!("the server ended: {server:#}"))),
            (loaded, served) => served.and(loaded),
        }
    })
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
        file.write_all(&group).context("append")?;
        #[expect(clippy::disallowed_methods, reason = "the disk itself is what is measured")]
        file.sync_data().context("sync")?;
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
    use crate::chunk::Chunk;
    use crate::document::batches;
    use crate::load::{Pace, post_singles};

    #[test]
    fn all_that_a_syncing_server_acknowledges_is_in_its_file() -> Result<()> {
        let file = tempfile::tempfile()?;
        let post = |address| post_singles(address, 3, Pace::Unbounded, Duration::from_millis(20));
        // The load fails at the first batch that is not acknowledged.
        let load = load_syncing_to(&file, post)?;
        assert!(load.n_batches() > load.n_untimed, "{load:?}");
        let request = Chunk::of_request(&batches()[..1]);
        let n_body_bytes =
            request.text().len() - memchr::memmem::find(request.text(), b"\r\n\r\n").expect("a head") - 4;
        assert_eq!(file.metadata()?.len(), load.n_batches() * n_body_bytes as u64);
        Ok(())
    }

    #[test]
    fn a_load_that_fails_says_why_and_what_became_of_the_server() -> Result<()> {
        let failed =
            load_syncing(&std::env::temp_dir(), |_| anyhow::bail!("no client")).expect_err("no load");
        assert_eq!(format!("{failed:#}"), "no client");
        let read_only = tempfile::NamedTempFile::new()?;
        let post = |address| post_singles(address, 1, Pace::Unbounded, Duration::ZERO);
        let failed = load_syncing_to(&File::open(read_only.path())?, post).expect_err("it cannot be written");
        assert!(format!("{failed:#}").starts_with("the server ended: append: "), "{failed:#}");
        Ok(())
    }
}
