//! A client of a collector's admin listener.

use std::time::Duration;

use anyhow::{Context as _, bail};
use reqwest::header::HeaderValue;
use reqwest::{Method, RequestBuilder, Response, StatusCode, Url};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::exit;
use crate::listing::Listing;

/// How long one page may take.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The header with the cursor of the next page of CSV, which has no place for it.
const NEXT_CURSOR: &str = "next-cursor";

/// Where the admin listener is, on the command line.
#[derive(Debug, clap::Args)]
pub(crate) struct Address {
    /// The collector's admin listener.
    #[arg(
        long,
        value_name = "URL",
        default_value = "http://127.0.0.1:8481",
        env = "TOLLGATE_URL",
        hide_env_values = true
    )]
    url: String,
}

/// A client of one collector.
pub(crate) struct Admin {
    client: reqwest::Client,
    base: Url,
}

/// A stretch of a listing.
#[derive(Deserialize)]
struct Rows<T> {
    rows: Vec<T>,
    next_cursor: Option<String>,
}

/// What an error is answered with (RFC 9457).
#[derive(Deserialize)]
struct Problem {
    title: String,
    #[serde(default)]
    detail: String,
}

impl Admin {
    pub(crate) fn new(address: &Address) -> anyhow::Result<Self> {
        let bad = |why: &str| exit::usage(format!("use --url {}: {why}", address.url));
        let base =
            Url::parse(&address.url).map_err(|error| bad(&format!("{error}; try http://127.0.0.1:8481")))?;
        match base.scheme() {
            "http" if !base.cannot_be_a_base() => {}
            "https" => {
                return Err(bad("https is not supported yet; the admin listener speaks http on loopback"));
            }
            _ => return Err(bad("it is not an http:// address; try http://127.0.0.1:8481")),
        }
        let client = reqwest::Client::builder()
            .timeout(TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .context("make an HTTP client")?;
        Ok(Self { client, base })
    }

    /// Hands over every row of a listing, a page at a time, to its end.
    pub(crate) async fn each_page<T: DeserializeOwned>(
        &self,
        listing: &Listing,
        mut take: impl FnMut(Vec<T>) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let read = async |answer| {
            let page: Rows<T> = decode(answer).await?;
            take(page.rows)?;
            Ok(page.next_cursor)
        };
        self.follow(listing, &[], read).await
    }

    /// Hands over every page of a listing as CSV, each with a line of names before its rows.
    pub(crate) async fn each_csv_page(
        &self,
        listing: &Listing,
        mut take: impl FnMut(&[u8]) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let read = async |answer: Response| {
            let next = answer.headers().get(NEXT_CURSOR).map(unescaped).transpose()?;
            take(body(answer).await?.as_ref())?;
            Ok(next)
        };
        self.follow(listing, &[("format", "csv")], read).await
    }

    /// Asks for page after page; `read` gives the cursor of the next one.
    async fn follow(
        &self,
        listing: &Listing,
        more: &[(&str, &str)],
        mut read: impl AsyncFnMut(Response) -> anyhow::Result<Option<String>>,
    ) -> anyhow::Result<()> {
        let listed = || format!("list {} of {}", listing.path, self.url(&[listing.path]));
        let mut cursor = None;
        loop {
            let answer = self.page(listing, more, cursor.as_deref()).await?;
            let next = read(answer).await.with_context(listed)?;
            if next.is_none() {
                return Ok(());
            }
            if next == cursor {
                bail!("{}: the collector gives the same page again and again", listed());
            }
            cursor = next;
        }
    }

    async fn page(
        &self,
        listing: &Listing,
        more: &[(&str, &str)],
        cursor: Option<&str>,
    ) -> anyhow::Result<Response> {
        let request = self.client.get(self.url(&[listing.path])).query(&[("limit", listing.page_rows)]);
        let request = request.query(&listing.parameters).query(more);
        let cursor: Vec<_> = cursor.iter().map(|cursor| ("cursor", *cursor)).collect();
        self.answer(request.query(&cursor)).await
    }

    /// What is at a path; each of its segments is escaped.
    pub(crate) async fn get<T: DeserializeOwned>(&self, segments: &[&str]) -> anyhow::Result<T> {
        let url = self.url(segments);
        let answer = self.answer(self.client.get(url.clone())).await?;
        decode(answer).await.with_context(|| format!("ask for {url}"))
    }

    /// Has something done, and gives what the collector says about it.
    pub(crate) async fn send<T: DeserializeOwned>(
        &self,
        method: Method,
        segments: &[&str],
        body: &impl Serialize,
    ) -> anyhow::Result<T> {
        let url = self.url(segments);
        let answer = self.answer(self.client.request(method, url.clone()).json(body)).await?;
        decode(answer).await.with_context(|| format!("change {url}"))
    }

    /// Takes something away.
    pub(crate) async fn delete(&self, segments: &[&str]) -> anyhow::Result<()> {
        let url = self.url(segments);
        let answer = self.answer(self.client.delete(url.clone())).await?;
        if answer.status() == StatusCode::NO_CONTENT {
            return Ok(());
        }
        decode::<serde_json::Value>(answer).await.map(drop).with_context(|| format!("delete {url}"))
    }

    fn url(&self, segments: &[&str]) -> Url {
        let mut url = self.base.clone();
        // Whatever path the address had stays in front: it may be behind a proxy.
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(["api", "v1"]).extend(segments);
        }
        url
    }

    async fn answer(&self, request: RequestBuilder) -> anyhow::Result<Response> {
        let answer = request.send().await.map_err(reqwest::Error::without_url);
        answer.with_context(|| format!("reach the collector at {} (is it running?)", self.base))
    }
}

/// Waits for what a command does over the network.
pub(crate) fn block_on<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("start a network thread")?;
    runtime.block_on(work)
}

async fn decode<T: DeserializeOwned>(answer: Response) -> anyhow::Result<T> {
    serde_json::from_slice(body(answer).await?.as_ref())
        .context("decode the answer; is this the admin listener of a collector?")
}

/// A cursor as it is in a header: escaped as a query wants it.
fn unescaped(cursor: &HeaderValue) -> anyhow::Result<String> {
    let step = "read the cursor of the next page";
    let query = Url::parse(&format!("cursor:?={}", cursor.to_str().context(step)?)).context(step)?;
    query.query_pairs().next().map(|(_, cursor)| cursor.into_owned()).context(step)
}

/// What was answered, when it is what was asked for.
async fn body(answer: Response) -> anyhow::Result<impl AsRef<[u8]>> {
    let status = answer.status();
    let body = answer.bytes().await.context("read the answer")?;
    if status == StatusCode::OK {
        return Ok(body);
    }
    let told = match serde_json::from_slice::<Problem>(&body) {
        Ok(Problem { title, detail }) if detail.is_empty() => format!("get an answer: {status}: {title}"),
        Ok(Problem { title, detail }) => format!("get an answer: {status}: {title}: {detail}"),
        Err(_) => format!("get an answer: {status}"),
    };
    // What the collector does not understand comes from a flag.
    Err(if status == StatusCode::BAD_REQUEST { exit::usage(told) } else { anyhow::Error::msg(told) })
}
