//! TLS: nothing is sent to whoever cannot show that it is the collector.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use rustls::crypto::ring;
use rustls::pki_types::PrivateKeyDer;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};
use tollgate_sender::{Encoding, HttpTransport, Settings, Transport};

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Authority {
    let mut params = CertificateParams::new(Vec::new()).expect("parameters");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("an authority")
}

/// A certificate in PEM form and its key.
fn certificate(authority: &Authority, name: &str, is_expired: bool) -> (rcgen::Certificate, KeyPair) {
    let mut params = CertificateParams::new(vec![name.to_owned()]).expect("parameters");
    if is_expired {
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2021, 1, 1);
    }
    let key = KeyPair::generate().expect("a key");
    (params.signed_by(&key, authority).expect("a certificate"), key)
}

/// A collector that answers every request, and how many came through.
struct Collector {
    address: SocketAddr,
    n_requests: Arc<AtomicU64>,
}

fn collector(authority: &Authority, name: &str, is_expired: bool, wants_certificate: bool) -> Collector {
    let (certificate, key) = certificate(authority, name, is_expired);
    let provider = Arc::new(ring::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(authority.der().clone()).expect("a root");
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .expect("versions");
    let builder = match wants_certificate {
        true => {
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            builder.with_client_cert_verifier(verifier.build().expect("a verifier"))
        }
        false => builder.with_no_client_auth(),
    };
    let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
    let config = Arc::new(builder.with_single_cert(vec![certificate.der().clone()], key).expect("a server"));
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
    let address = listener.local_addr().expect("an address");
    let n_requests = Arc::new(AtomicU64::new(0));
    let counted = n_requests.clone();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let connection = ServerConnection::new(config.clone()).expect("a connection");
            let mut stream = StreamOwned::new(connection, stream);
            let mut request = [0; 4096];
            if stream.read(&mut request).is_ok_and(|n_read| 0 < n_read) {
                counted.fetch_add(1, Ordering::SeqCst);
                let _ =
                    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}");
                stream.conn.send_close_notify();
                let _ = stream.flush();
            }
        }
    });
    Collector { address, n_requests }
}

fn file(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, text).expect("write");
    path
}

/// Posts to a collector at `localhost`; the status, or what went wrong.
fn post(collector: &Collector, settings: Settings) -> Result<u16, String> {
    let to = format!("https://localhost:{}", collector.address.port());
    let mut transport =
        HttpTransport::new(&Settings { to, ..settings }).map_err(|error| error.to_string())?;
    transport
        .post(b"[]".to_vec(), Encoding::Identity)
        .map(|answer| answer.status)
        .map_err(|no_answer| no_answer.why)
}

#[track_caller]
fn check_refused(collector: &Collector, settings: Settings, expected: &str) {
    let refusal = post(collector, settings).expect_err("refused");
    assert!(refusal.contains(expected), "{refusal}");
    assert_eq!(collector.n_requests.load(Ordering::SeqCst), 0, "nothing was sent");
}

#[test]
fn only_a_collector_that_shows_who_it_is_gets_anything() {
    let folder = tempfile::tempdir().expect("a folder");
    let (ours, other) = (authority(), authority());
    let trusting = || Settings {
        authorities: file(folder.path(), "authorities.pem", &ours.pem()),
        ..Settings::default()
    };
    let good = collector(&ours, "localhost", false, false);
    assert_eq!(post(&good, trusting()), Ok(200));
    assert_eq!(good.n_requests.load(Ordering::SeqCst), 1);

    check_refused(&collector(&other, "localhost", false, false), trusting(), "invalid peer certificate");
    check_refused(&collector(&ours, "localhost", true, false), trusting(), "certificate expired");
    check_refused(&collector(&ours, "elsewhere", false, false), trusting(), "not valid for name");
}

#[test]
fn a_collector_that_wants_a_certificate_gets_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let ours = authority();
    let trusting =
        Settings { authorities: file(folder.path(), "authorities.pem", &ours.pem()), ..Settings::default() };
    let collector = collector(&ours, "localhost", false, true);
    check_refused(&collector, trusting.clone(), "CertificateRequired");
    let (certificate, key) = certificate(&ours, "sender", false);
    let showing = Settings {
        certificate: file(folder.path(), "certificate.pem", &certificate.pem()),
        certificate_key: file(folder.path(), "key.pem", &key.serialize_pem()),
        ..trusting
    };
    assert_eq!(post(&collector, showing), Ok(200));
}

#[test]
fn a_file_that_cannot_be_used_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let empty = file(folder.path(), "empty.pem", "");
    let make = |settings: Settings| {
        let to = "https://localhost:1".to_owned();
        HttpTransport::new(&Settings { to, ..settings }).expect_err("refused").to_string()
    };
    let error = make(Settings { authorities: empty.clone(), ..Settings::default() });
    let text = format!("use an authority's certificate in {}: there is none in PEM form", empty.display());
    assert_eq!(error, text);
    let error = make(Settings { authorities: "/nowhere".into(), ..Settings::default() });
    assert_eq!(error, "read an authority's certificate /nowhere");
}
