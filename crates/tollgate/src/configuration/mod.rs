//! The configuration: built-in defaults, then the file, then the environment, then the command line.
//!
//! A section's keys, defaults and documentation live beside their user ([`tollgate_collector::Settings`]); this
//! module lays the sources over one another and remembers where each value came from. It reads values through
//! serde alone, so a new key of a section needs nothing here.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use tollgate_collector::{CredentialSettings, Credentials, Plan, Settings, Terms};
use tollgate_ledger_embedded::Options;
use tollgate_rules::{AllowanceSettings, Allowances, MeterSettings, Meters, Policy, UserSettings, Users};

use crate::{exit, keys};

mod environment;
mod file;
mod layers;
mod origin;
mod print;

pub(crate) use print::print;

use layers::Layers;
use origin::Origin;

/// Everything that can be configured.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Configuration {
    /// The HTTP side.
    pub(crate) collector: Settings,
    /// How credentials are made.
    pub(crate) credential: CredentialSettings,
    /// Where batches are kept.
    pub(crate) ledger: LedgerSection,
    /// What is metered.
    pub(crate) meter: Vec<MeterSettings>,
    /// Who owns which model.
    pub(crate) user: Vec<UserSettings>,
    /// How much may be used.
    pub(crate) allowance: Vec<AllowanceSettings>,
    /// What charms can be charged by.
    pub(crate) plan: Vec<Plan>,
    /// The sending side.
    pub(crate) sender: tollgate_sender::Settings,
    /// The agent of the sending side.
    pub(crate) agent: crate::commands::agent::Settings,
}

impl Configuration {
    /// What can change while a collector runs. Reads the key file. An error is one of usage and names what to mend.
    pub(crate) fn terms(&self) -> anyhow::Result<Terms> {
        let policy = self.policy().map_err(|error| exit::as_usage(&error))?;
        let credentials = self.credentials().map_err(|error| exit::as_usage(&error))?;
        Ok(Terms {
            policy: Arc::new(policy),
            grace_period: self.collector.grace_period(),
            credentials: Arc::new(credentials),
        })
    }

    fn policy(&self) -> anyhow::Result<Policy> {
        Ok(Policy {
            meters: Meters::new(&self.meter)?,
            users: Users::new(&self.user)?,
            allowances: Allowances::new(&self.allowance)?,
        })
    }

    /// Keys, plans, and whether batches need credentials.
    fn credentials(&self) -> anyhow::Result<Credentials> {
        let path = &self.credential.keys_file;
        let keys = (!path.is_empty()).then(|| keys::read(Path::new(path))).transpose()?;
        Ok(Credentials::new(&self.collector, self.credential.clone(), self.plan.clone(), keys)?)
    }

    /// Whether what cannot change while a collector runs differs.
    pub(crate) fn has_other_fixed_parts(&self, other: &Self) -> bool {
        let fixed = |configuration: &Self| {
            let collector = Settings {
                grace_period_seconds: 0,
                require_credentials: false,
                ..configuration.collector.clone()
            };
            (collector, configuration.ledger.clone())
        };
        fixed(self) != fixed(other)
    }
}

/// Where batches are kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct LedgerSection {
    /// The folder of the embedded ledger, made when it is not there; or the URL of a PostgreSQL database, `postgres://…`.
    pub(crate) location: String,
    /// Bytes of one file of the journal, at most, unless one group is longer.
    pub(crate) segment_bytes_max: u64,
    /// Free bytes that recording leaves on the disk; below, senders are answered 507 until there is room again.
    pub(crate) free_bytes_min: u64,
    /// Days after which the credentials of batches are dropped; 0 keeps them for ever. What counts is kept in any case.
    pub(crate) retention_days: u32,
    /// Connections to PostgreSQL that record one group, at most. Others answer questions.
    pub(crate) connections_max: usize,
}

impl Default for LedgerSection {
    fn default() -> Self {
        // In the working folder: a first try needs neither a flag nor rights elsewhere, and what it made is in sight.
        let location = "tollgate-ledger".to_owned();
        let Options { segment_bytes_max, free_bytes_min, .. } = Options::default();
        let connections_max = tollgate_ledger_postgres::Options::default().n_recording_max;
        Self { location, segment_bytes_max, free_bytes_min, retention_days: 0, connections_max }
    }
}

/// The flags of the commands that read the configuration.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Configuration")]
pub(crate) struct Flags {
    /// Read this TOML file. Without it there are the defaults, the environment and the flags.
    #[arg(long, value_name = "FILE", env = "TOLLGATE_CONFIG", hide_env_values = true)]
    config: Option<PathBuf>,
    /// The ledger's folder, made when it is not there, or postgres://USER@HOST/DATABASE [default: ./tollgate-ledger].
    #[arg(long, value_name = "DIR|URL")]
    ledger: Option<String>,
    /// Where senders post; port 0 takes a free one [default: 127.0.0.1:8480].
    #[arg(long, value_name = "ADDR")]
    listen: Option<std::net::SocketAddr>,
    /// Where operators look; a loopback address, port 0 takes a free one [default: 127.0.0.1:8481].
    #[arg(long, value_name = "ADDR")]
    admin: Option<std::net::SocketAddr>,
}

/// The flags of the commands of the sending side.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Configuration")]
pub(crate) struct SenderFlags {
    /// Read this TOML file. Without it there are the defaults, the environment and the flags.
    #[arg(long, value_name = "FILE", env = "TOLLGATE_CONFIG", hide_env_values = true)]
    config: Option<PathBuf>,
    /// The folder in which batches wait [default: ./tollgate-spool].
    #[arg(long, value_name = "DIR")]
    spool: Option<String>,
    /// The collector, without /metrics at the end.
    #[arg(long, value_name = "URL")]
    to: Option<String>,
}

impl SenderFlags {
    /// Reads all sources. Every error is one of usage and names what to mend.
    pub(crate) fn load(&self) -> anyhow::Result<Configuration> {
        let flags = Flags { config: self.config.clone(), ledger: None, listen: None, admin: None };
        let lay = || {
            let mut layers = flags.lay(std::env::vars_os())?.layers;
            for (key, flag, value) in [("spool", "--spool", &self.spool), ("to", "--to", &self.to)] {
                if let Some(value) = value {
                    layers
                        .set(&["sender", key], value.as_str().into(), Origin::Flag(flag))
                        .with_context(|| format!("use the flag {flag}"))?;
                }
            }
            layers.configuration()
        };
        lay().map_err(|error| exit::as_usage(&error))
    }
}

/// The effective configuration and where it came from.
pub(crate) struct Loaded {
    /// What counts.
    pub(crate) configuration: Configuration,
    layers: Layers,
}

impl Flags {
    /// Reads all sources, and checks that what they say together can work. Every error is one of usage and names what to
    /// mend.
    pub(crate) fn load(&self) -> anyhow::Result<Loaded> {
        let loaded = self.lay(std::env::vars_os()).map_err(|error| exit::as_usage(&error))?;
        let checked = loaded.configuration.collector.check();
        checked.map_err(|error| exit::as_usage(&error.into()))?;
        loaded.configuration.terms()?;
        Ok(loaded)
    }

    fn lay(
        &self,
        variables: impl Iterator<Item = (std::ffi::OsString, std::ffi::OsString)>,
    ) -> anyhow::Result<Loaded> {
        let mut layers = Layers::of_defaults(&Configuration::default()).context("lay out the defaults")?;
        if let Some(path) = &self.config {
            file::lay(&mut layers, path)
                .with_context(|| format!("read the configuration {}", path.display()))?;
        }
        environment::lay(&mut layers, variables).context("read the configuration from the environment")?;
        let flags = [
            ("ledger", "location", "--ledger", self.ledger.clone()),
            ("collector", "listen", "--listen", self.listen.map(|addr| addr.to_string())),
            ("collector", "admin", "--admin", self.admin.map(|addr| addr.to_string())),
        ];
        for (section, key, flag, value) in flags {
            if let Some(value) = value {
                layers
                    .set(&[section, key], value.into(), Origin::Flag(flag))
                    .with_context(|| format!("use the flag {flag}"))?;
            }
        }
        Ok(Loaded { configuration: layers.configuration()?, layers })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Loads a file of this text, these variables and these flags.
    fn load(text: &str, variables: &[(&str, &str)], listen: Option<&str>) -> anyhow::Result<Loaded> {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("t.toml");
        std::fs::write(&path, text).expect("write");
        let flags = Flags {
            config: Some(path),
            ledger: None,
            listen: listen.map(|addr| addr.parse().expect("an address")),
            admin: None,
        };
        flags.lay(variables.iter().map(|(name, value)| (name.into(), value.into())))
    }

    #[track_caller]
    fn check_refused(text: &str, variables: &[(&str, &str)], expected: &[&str]) {
        let error = format!("{:#}", load(text, variables, None).err().expect("refused"));
        for part in expected {
            assert!(error.contains(part), "{part:?} is not in: {error}");
        }
    }

    #[test]
    fn later_sources_win() {
        let text = "[collector]\nlisten = '1.1.1.1:1'\nbody_bytes_max = 1\nconnections_max = 1\n";
        let variables =
            [("TOLLGATE_COLLECTOR_LISTEN", "2.2.2.2:2"), ("TOLLGATE_COLLECTOR_BODY_BYTES_MAX", "2")];
        let loaded = load(text, &variables, Some("3.3.3.3:3")).expect("good");
        let collector = &loaded.configuration.collector;
        assert_eq!(collector.listen.to_string(), "3.3.3.3:3");
        assert_eq!(collector.body_bytes_max, 2);
        assert_eq!(collector.connections_max, 1);
        assert_eq!(collector.admin, Settings::default().admin);

        let printed = print(&loaded);
        for (key, origin) in [
            ("listen", "flag --listen"),
            ("body_bytes_max", "environment TOLLGATE_COLLECTOR_BODY_BYTES_MAX"),
            ("connections_max", "t.toml:4"),
            ("admin", "default"),
        ] {
            let (_, section) = printed.split_once("[collector]\n").expect("printed");
            let line = section.lines().find(|line| line.starts_with(key)).expect("printed");
            assert!(line.ends_with(origin), "{line}");
        }
        // What is printed is a configuration: the same one.
        assert_eq!(toml::from_str::<Configuration>(&printed).expect("is TOML"), loaded.configuration);
    }

    #[test]
    fn a_bad_file_is_refused_with_key_line_and_what_is_allowed() {
        check_refused("[collector]\nlisten_on = 1\n", &[], &["t.toml", "line 2", "listen_on", "`listen`"]);
        check_refused("[colector]\n", &[], &["line 1", "colector", "`collector`"]);
        check_refused(
            "\n[collector]\nbody_bytes_max = 'big'\n",
            &[],
            &["line 3", "body_bytes_max", "expected a whole number"],
        );
        check_refused("[collector]\nlisten = 'here'\n", &[], &["line 2", "listen", "socket address"]);
        check_refused("[collector\n", &[], &["line 1"]);
    }

    #[test]
    fn a_bad_variable_is_refused_with_its_name_and_what_is_allowed() {
        check_refused(
            "",
            &[("TOLLGATE_COLLECTOR_BODY_BYTES_MAX", "big")],
            &["TOLLGATE_COLLECTOR_BODY_BYTES_MAX=\"big\"", "expected a whole number"],
        );
        check_refused("", &[("TOLLGATE_COLLECTOR_LISTEN", "here")], &["TOLLGATE_COLLECTOR_LISTEN=\"here\""]);
        check_refused(
            "",
            &[("TOLLGATE_LEDGER_LOCATON", "x")],
            &["unknown variable TOLLGATE_LEDGER_LOCATON", "TOLLGATE_LEDGER_LOCATION"],
        );
    }

    #[test]
    fn what_a_cluster_sets_by_itself_is_no_configuration() {
        let variables = [
            ("TOLLGATE_COLLECTOR_SERVICE_HOST", "10.0.0.1"),
            ("TOLLGATE_COLLECTOR_SERVICE_PORT", "8480"),
            ("TOLLGATE_COLLECTOR_SERVICE_PORT_WIRE", "8480"),
            ("TOLLGATE_COLLECTOR_PORT", "tcp://10.0.0.1:8480"),
            ("TOLLGATE_COLLECTOR_PORT_8480_TCP_ADDR", "10.0.0.1"),
        ];
        assert_eq!(load("", &variables, None).expect("good").configuration, Configuration::default());
    }

    #[test]
    fn the_sample_file_has_every_key_at_its_default() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/tollgate.toml");
        let flags = Flags { config: Some(path.into()), ledger: None, listen: None, admin: None };
        let loaded = flags.lay(std::iter::empty()).expect("good");
        assert_eq!(loaded.configuration, Configuration::default());
        let text = std::fs::read_to_string(path).expect("read");
        for (key, _) in loaded.layers.leaves() {
            if let [list] = &key[..] {
                assert!(text.contains(&format!("\n# [[{list}]]\n")), "{list:?} is not in the sample");
                continue;
            }
            assert!(
                matches!(loaded.layers.origin(&key), Origin::File { .. }),
                "{key:?} is not in the sample"
            );
        }
    }

    #[test]
    fn the_examples_in_the_sample_file_are_good_and_are_printed_as_they_are() {
        let sample = include_str!("../../../../docs/tollgate.toml");
        // An example is a commented table; its text does not begin with a key.
        let lines = sample.lines().filter_map(|line| line.strip_prefix("# "));
        let is_key = |text: &str| text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
        let is_example = |line: &&str| {
            line.starts_with("[[") || line.split_once(" = ").is_some_and(|(key, _)| is_key(key))
        };
        let examples: Vec<&str> = lines.filter(is_example).collect();
        let loaded = load(&examples.join("\n"), &[], None).expect("good examples");
        let configuration = &loaded.configuration;
        assert!(!configuration.meter.is_empty() && !configuration.user.is_empty(), "{examples:?}");
        assert!(!configuration.allowance.is_empty(), "{examples:?}");
        configuration.terms().expect("good terms");
        let printed = print(&loaded);
        assert_eq!(toml::from_str::<Configuration>(&printed).expect("is TOML"), *configuration, "{printed}");
        assert!(printed.contains("[[allowance]]") && printed.contains("t.toml:"), "{printed}");
    }

    #[test]
    fn what_contradicts_itself_is_refused() {
        let refused = |text: &str| {
            let loaded = load(text, &[], None).expect("readable");
            format!("{:#}", loaded.configuration.terms().expect_err("refused"))
        };
        let twice = "[[meter]]\nkey = 'a'\n[[meter]]\nkey = 'a'\nkind = 'gauge'\n";
        assert!(refused(twice).contains("use a meter: its key \"a\" is that of another meter, too"));
        let owners = "[[user]]\nname = 'a'\nmodels = ['m']\n[[user]]\nname = 'b'\nmodels = ['m']\n";
        assert!(refused(owners).contains("both are said to own the model \"m\""));
    }

    #[test]
    fn plans_are_read_and_printed_as_tables() {
        let text = "[[plan]]\nurl = 'a/b'\ncharms = ['ch:x']\ndefault = true\n\n[[plan]]\nurl = 'a/c'\n";
        let loaded = load(text, &[], None).expect("good");
        let [one, other] = &loaded.configuration.plan[..] else { panic!("two plans") };
        assert_eq!(
            (&*one.url, &*one.charms, one.default, &*other.url),
            ("a/b", &["ch:x".to_owned()][..], true, "a/c")
        );
        let printed = print(&loaded);
        assert!(printed.contains("[[plan]]"), "{printed}");
        assert_eq!(toml::from_str::<Configuration>(&printed).expect("is TOML"), loaded.configuration);

        let variables = [("TOLLGATE_PLAN", "[{ url = 'a/d' }]")];
        let loaded = load("", &variables, None).expect("good");
        assert_eq!(loaded.configuration.plan[0].url, "a/d");
        check_refused("[[plan]]\nurl = 'a/b'\nprize = 1\n", &[], &["line 3", "prize", "`price`"]);
        check_refused("[[plan]]\ncharms = []\n", &[], &["line 1", "url"]);
    }

    #[test]
    fn a_password_is_not_printed() {
        let loaded = load("ledger.location = 'postgres://me:hunter2@db/x'", &[], None).expect("good");
        let printed = print(&loaded);
        assert!(printed.contains("postgres://me:[redacted]@db/x"), "{printed}");
        assert!(!printed.contains("hunter2"), "{printed}");
    }
}
