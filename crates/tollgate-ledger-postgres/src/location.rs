//! Where the database is.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use tokio_postgres::config::{Config, Host, SslMode, TargetSessionAttrs};
use tollgate_ledger::{LedgerError, Remedy};

/// The schema that the tables are in, when the URL names none.
const SCHEMA: &str = "tollgate";

/// How long making a connection may take. A server that is there answers within milliseconds.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a connection may be silent before the system asks whether the other side is still there, and how long what was
/// sent may stay unconfirmed. A server that vanished without a word is noticed by then.
const SILENCE_MAX: Duration = Duration::from_secs(15);

/// A database and how to reach it.
#[derive(Clone)]
pub(crate) struct Location {
    pub(crate) config: Config,
    /// A plain identifier.
    pub(crate) schema: String,
    /// Certificates to trust instead of the system's.
    pub(crate) root_certificates: Option<PathBuf>,
}

impl FromStr for Location {
    type Err = LedgerError;

    /// Reads `postgres://USER:PASSWORD@HOST:PORT/DATABASE?…`. Besides what PostgreSQL's own URLs may say it knows `schema`.
    fn from_str(url: &str) -> Result<Self, LedgerError> {
        let refused =
            |why: String| LedgerError::new(Remedy::Repair, format!("read {}: {why}", redacted(url)));
        let (base, query) = url.split_once('?').unwrap_or((url, ""));
        let mut schema = SCHEMA.to_owned();
        let mut root_certificates = None;
        let mut tls = None;
        let mut rest = Vec::new();
        for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
            match parameter.split_once('=').unwrap_or((parameter, "")) {
                ("schema", name) => schema = name.to_owned(),
                ("sslrootcert", path) => root_certificates = Some(PathBuf::from(path)),
                ("sslmode", mode) => tls = Some(ssl_mode(mode).map_err(refused)?),
                _ => rest.push(parameter),
            }
        }
        let is_plain = |name: &str| {
            name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'))
                && name.bytes().next().is_some_and(|first| !first.is_ascii_digit())
                && name.len() <= 63
        };
        if !is_plain(&schema) {
            return Err(refused(format!("the schema {schema:?} is not made of a to z, 0 to 9 and _")));
        }
        let url = if rest.is_empty() { base.to_owned() } else { format!("{base}?{}", rest.join("&")) };
        let mut config = Config::from_str(&url).map_err(|error| refused(error.to_string()))?;
        if config.get_hosts().is_empty() {
            return Err(refused("it names no host".to_owned()));
        }
        let is_here = |host: &Host| match host {
            Host::Unix(_) => true,
            Host::Tcp(name) => matches!(&**name, "localhost" | "127.0.0.1" | "::1"),
        };
        let away = if config.get_hosts().iter().all(is_here) { SslMode::Disable } else { SslMode::Require };
        config
            .ssl_mode(tls.unwrap_or(away))
            .target_session_attrs(TargetSessionAttrs::ReadWrite)
            .keepalives_idle(SILENCE_MAX)
            .tcp_user_timeout(SILENCE_MAX);
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT_TIMEOUT);
        }
        if config.get_application_name().is_none() {
            config.application_name("tollgate");
        }
        Ok(Self { config, schema, root_certificates })
    }
}

/// TLS is all or nothing: with it, the server's certificate and name are verified.
fn ssl_mode(mode: &str) -> Result<SslMode, String> {
    match mode {
        "disable" => Ok(SslMode::Disable),
        "require" | "verify-ca" | "verify-full" => Ok(SslMode::Require),
        _ => Err(format!(
            "sslmode is {mode:?}; it can be verify-full, which is the default for other hosts, or disable"
        )),
    }
}

/// Looks whether a URL says all that it has to, without connecting.
///
/// # Errors
///
/// What is wrong with it.
pub fn check_url(url: &str) -> Result<(), LedgerError> {
    url.parse::<Location>().map(drop)
}

/// The URL without its password, for people to read.
#[must_use]
pub fn redacted(url: &str) -> String {
    const MARK: &str = "[redacted]";
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let (base, query) = rest.split_once('?').map_or((rest, None), |(base, query)| (base, Some(query)));
    let base = match base.rsplit_once('@') {
        Some((user, host)) => match user.split_once(':') {
            Some((name, _)) => format!("{name}:{MARK}@{host}"),
            None => base.to_owned(),
        },
        None => base.to_owned(),
    };
    let query = query.map(|query| {
        let redact = |parameter: &str| match parameter.split_once('=') {
            Some(("password", _)) => format!("password={MARK}"),
            _ => parameter.to_owned(),
        };
        query.split('&').map(redact).collect::<Vec<_>>().join("&")
    });
    match query {
        Some(query) => format!("{scheme}://{base}?{query}"),
        None => format!("{scheme}://{base}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_tls(url: &str, expected: SslMode) {
        assert_eq!(url.parse::<Location>().expect("a location").config.get_ssl_mode(), expected);
    }

    #[track_caller]
    fn check_refused(url: &str, expected: &str) {
        assert_eq!(url.parse::<Location>().err().expect("refused").to_string(), expected);
    }

    #[test]
    fn tls_is_off_only_on_this_machine_or_when_asked_for() {
        check_tls("postgres://me@localhost/x", SslMode::Disable);
        check_tls("postgres://me@%2Frun%2Fpostgresql/x", SslMode::Disable);
        check_tls("postgres://me@127.0.0.1,db/x", SslMode::Require);
        check_tls("postgres://me@db/x", SslMode::Require);
        check_tls("postgres://me@db/x?sslmode=disable", SslMode::Disable);
        check_tls("postgres://me@localhost/x?sslmode=verify-full", SslMode::Require);
    }

    #[test]
    fn what_cannot_work_is_refused_without_the_password() {
        check_refused(
            "postgres://me:hunter2@db/x?sslmode=prefer",
            "read postgres://me:[redacted]@db/x?sslmode=prefer: sslmode is \"prefer\"; it can be verify-full, which is \
             the default for other hosts, or disable",
        );
        check_refused(
            "postgres://me:hunter2@db/x?schema=A",
            "read postgres://me:[redacted]@db/x?schema=A: the schema \"A\" is not made of a to z, 0 to 9 and _",
        );
        check_refused(
            "postgres:///x?password=hunter2",
            "read postgres:///x?password=[redacted]: it names no host",
        );
    }

    #[test]
    fn the_schema_is_part_of_the_location() {
        let schema = |url: &str| url.parse::<Location>().expect("a location").schema;
        assert_eq!(schema("postgres://me@db/x"), "tollgate");
        assert_eq!(schema("postgres://me@db/x?connect_timeout=3&schema=other_1"), "other_1");
    }
}
