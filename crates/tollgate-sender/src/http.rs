//! A collector over HTTP.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, RETRY_AFTER};
use reqwest::{Client, Url};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use tokio::runtime::Runtime;

use crate::encoding::Encoding;
use crate::error::ClientError;
use crate::settings::Settings;
use crate::transport::{Answer, NoAnswer, Transport};

/// Bytes of an answer, at most: a thousand acknowledgements take 40 KB.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// A connection to a collector, kept open between requests.
#[derive(Debug)]
pub struct HttpTransport {
    url: Url,
    client: Client,
    /// Until it is dropped.
    runtime: Option<Runtime>,
}

impl Drop for HttpTransport {
    fn drop(&mut self) {
        // Also by who is in a runtime, where another one must not be waited for.
        self.runtime.take().into_iter().for_each(Runtime::shutdown_background);
    }
}

impl HttpTransport {
    /// Prepares a connection; nothing is sent yet.
    ///
    /// # Errors
    ///
    /// When the address is none, or a file that the settings name cannot be used.
    pub fn new(settings: &Settings) -> Result<Self, ClientError> {
        let url = metrics_url(&settings.to)?;
        // Also where it is not needed: a client wants to know who does its cryptography.
        let client = Client::builder()
            .tls_backend_preconfigured(tls(settings, url.scheme() == "https")?)
            .timeout(Duration::from_secs(settings.request_timeout_seconds))
            .connect_timeout(Duration::from_secs(settings.connect_timeout_seconds))
            // A redirect of a POST may arrive as a GET, whose answer says nothing of the batches.
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("tollgate/", env!("CARGO_PKG_VERSION")));
        let failed = |source: Box<dyn std::error::Error + Send + Sync>| ClientError::Client { source };
        let client = client.build().map_err(|error| failed(error.into()))?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| failed(error.into()))?;
        Ok(Self { url, client, runtime: Some(runtime) })
    }

    /// Where it posts.
    #[must_use]
    pub fn url(&self) -> &str {
        self.url.as_str()
    }
}

impl Transport for HttpTransport {
    fn post(&mut self, body: Vec<u8>, encoding: Encoding) -> Result<Answer, NoAnswer> {
        let mut request =
            self.client.post(self.url.clone()).header(CONTENT_TYPE, "application/json").body(body);
        if let Some(name) = encoding.name() {
            request = request.header(CONTENT_ENCODING, name);
        }
        let Some(runtime) = &self.runtime else { unreachable!("it is there until it is dropped") };
        runtime.block_on(async {
            let mut answer = request.send().await.map_err(|error| no_answer(&error))?;
            let status = answer.status().as_u16();
            let retry_after = text(answer.headers(), &RETRY_AFTER);
            let accept_encoding = text(answer.headers(), &ACCEPT_ENCODING);
            let mut body = Vec::new();
            while let Some(bytes) = answer.chunk().await.map_err(|error| no_answer(&error))? {
                if ANSWER_BYTES_MAX < body.len() + bytes.len() {
                    let why = format!("the answer has more than {ANSWER_BYTES_MAX} bytes");
                    return Err(NoAnswer { why, is_cut: false });
                }
                body.extend_from_slice(&bytes);
            }
            Ok(Answer { status, retry_after, accept_encoding, body })
        })
    }
}

fn text(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    Some(headers.get(name)?.to_str().ok()?.to_owned())
}

/// An error of the client with its causes, which say what happened; the URL is known.
fn no_answer(error: &reqwest::Error) -> NoAnswer {
    let mut text = if error.is_timeout() { "timed out" } else { "could not post" }.to_owned();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    NoAnswer { why: text, is_cut: !error.is_connect() && !error.is_builder() }
}

/// `/metrics` behind the collector's address, as Juju does it, but with one slash.
fn metrics_url(to: &str) -> Result<Url, ClientError> {
    let refused = |reason: &str| ClientError::Url { url: to.to_owned(), reason: reason.to_owned() };
    if to.is_empty() {
        return Err(refused("it is empty; set `to` in [sender], or --to"));
    }
    let url = Url::parse(&format!("{}/metrics", to.trim_end_matches('/')));
    let url = url.map_err(|error| refused(&format!("{error}; write it as https://host:port")))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(refused("it is neither http nor https"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(refused("it has a query or a fragment"));
    }
    Ok(url)
}

fn tls(settings: &Settings, is_used: bool) -> Result<ClientConfig, ClientError> {
    let failed = |error: rustls::Error| ClientError::Client { source: error.into() };
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(failed)?
        .with_root_certificates(if is_used { roots(&settings.authorities)? } else { RootCertStore::empty() });
    if !is_used || settings.certificate.as_os_str().is_empty() {
        return Ok(builder.with_no_client_auth());
    }
    let certificates = certificates("a certificate", &settings.certificate)?;
    let path = &settings.certificate_key;
    let key = PrivateKeyDer::from_pem_slice(&read("the key", path)?)
        .map_err(|error| content("a key", path, &error))?;
    builder.with_client_auth_cert(certificates, key).map_err(failed)
}

fn roots(path: &Path) -> Result<RootCertStore, ClientError> {
    let mut roots = RootCertStore::empty();
    if path.as_os_str().is_empty() {
        let found = rustls_native_certs::load_native_certs();
        roots.add_parsable_certificates(found.certs);
        if roots.is_empty() {
            let reasons: Vec<String> = found.errors.iter().map(ToString::to_string).collect();
            let reason = if reasons.is_empty() { "there are none".to_owned() } else { reasons.join(", ") };
            return Err(ClientError::Roots { reason });
        }
        return Ok(roots);
    }
    for certificate in certificates("an authority's certificate", path)? {
        roots.add(certificate).map_err(|error| content("an authority's certificate", path, &error))?;
    }
    Ok(roots)
}

fn certificates(what: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, ClientError> {
    let bytes = read(what, path)?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    let certificates = certificates.map_err(|error| content(what, path, &error))?;
    if certificates.is_empty() {
        return Err(content(what, path, &"there is none in PEM form"));
    }
    Ok(certificates)
}

fn read(what: &'static str, path: &Path) -> Result<Vec<u8>, ClientError> {
    fs::read(path).map_err(|source| ClientError::File { what, path: path.to_owned(), source })
}

fn content(what: &'static str, path: &Path, reason: &dyn std::fmt::Display) -> ClientError {
    ClientError::Content { what, path: path.to_owned(), reason: reason.to_string() }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn what_was_cut_on_its_way_is_told_from_what_did_not_start() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
        let to = format!("http://{}", listener.local_addr().expect("an address"));
        let settings = Settings { to, request_timeout_seconds: 1, ..Settings::default() };
        let mut transport = HttpTransport::new(&settings).expect("a client");
        let mut post = || transport.post(b"[]".to_vec(), Encoding::Identity).expect_err("no answer");
        let silent = post();
        assert!(silent.is_cut && silent.why.starts_with("timed out"), "{silent:?}");
        drop(listener);
        let away = post();
        assert!(!away.is_cut && away.why.contains("refused"), "{away:?}");
    }

    #[track_caller]
    fn check_url(to: &str, expected: &str) {
        let url = metrics_url(to).map_or_else(|error| error.to_string(), |url| url.to_string());
        assert_eq!(url, expected);
    }

    #[test]
    fn metrics_are_behind_the_address() {
        check_url("http://127.0.0.1:8480", "http://127.0.0.1:8480/metrics");
        check_url("https://c.example/omnibus/v3/", "https://c.example/omnibus/v3/metrics");
        check_url("", "use \"\" as the collector's address: it is empty; set `to` in [sender], or --to");
        check_url(
            "c.example:8480",
            "use \"c.example:8480\" as the collector's address: it is neither http nor https",
        );
        check_url(
            "127.0.0.1:8480",
            "use \"127.0.0.1:8480\" as the collector's address: relative URL without a base; write it as https://host:port",
        );
        check_url(
            "http://c/?a=b",
            "use \"http://c/?a=b\" as the collector's address: it has a query or a fragment",
        );
    }
}
