//! Who may post: the keys and plans of a collector, and whether a batch needs a credential.

use serde::{Deserialize, Serialize};
use tollgate_rules::{Authorization, CharmUrl, KeyRing, Reason, authorize_batch};
use tollgate_wire::{BatchRef, Timestamp};

use crate::{CollectorError, Settings};

/// How credentials are made. The default makes none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CredentialSettings {
    /// The file with the keys; empty when there is none. Who can read it can make credentials.
    pub keys_file: String,
    /// Whether the wire listener hands credentials to whoever asks, as `juju deploy` does. Nothing there tells who that is: with this,
    /// a credential says what a sender asked for, and not that an operator allowed it.
    pub self_service: bool,
    /// Days for which credentials handed out on the wire listener are good; 0 for ever. Juju asks once and keeps what it got.
    pub valid_days: u32,
}

impl Default for CredentialSettings {
    fn default() -> Self {
        Self { keys_file: String::new(), self_service: true, valid_days: 0 }
    }
}

/// A plan that use is charged by. Tollgate charges nobody: it says which plan was chosen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// What it is called: `OWNER/NAME`.
    pub url: String,
    /// The charms it is for, in any revision; empty for every charm.
    #[serde(default)]
    pub charms: Vec<String>,
    /// Whether it is what a charm has when nobody chose. Of several for a charm, the first counts.
    #[serde(default)]
    pub default: bool,
    /// What people read of it.
    #[serde(default)]
    pub description: String,
    /// What it costs, in words.
    #[serde(default)]
    pub price: String,
}

impl Plan {
    /// What every charm has where no plan is configured.
    fn built_in() -> Self {
        Self {
            url: "tollgate/default".to_owned(),
            charms: Vec::new(),
            default: true,
            description: "Metered by Tollgate.".to_owned(),
            price: String::new(),
        }
    }

    fn is_for(&self, charm_url: &str) -> bool {
        let actual = CharmUrl::parse(charm_url);
        self.charms.is_empty() || self.charms.iter().any(|charm| CharmUrl::parse(charm).covers(&actual))
    }
}

/// Keys, plans, and what is asked of a batch. The default has no keys and asks nothing.
#[derive(Debug, Clone)]
pub struct Credentials {
    settings: CredentialSettings,
    keys: Option<KeyRing>,
    plans: Vec<Plan>,
    are_required: bool,
}

impl Default for Credentials {
    fn default() -> Self {
        Self {
            settings: CredentialSettings::default(),
            keys: None,
            plans: vec![Plan::built_in()],
            are_required: false,
        }
    }
}

impl Credentials {
    /// `keys` is what the file in `credential` held.
    ///
    /// # Errors
    ///
    /// [`CollectorError::Setting`] or [`CollectorError::Plan`]: what cannot work, and why.
    pub fn new(
        settings: &Settings,
        credential: CredentialSettings,
        plans: Vec<Plan>,
        keys: Option<KeyRing>,
    ) -> Result<Self, CollectorError> {
        let are_required = settings.require_credentials;
        if are_required && keys.is_none() {
            return Err(no_keys());
        }
        for (index, plan) in plans.iter().enumerate() {
            let refuse = |why| Err(CollectorError::Plan { url: plan.url.clone(), why });
            if plan.url.is_empty() || plan.url.contains(char::is_whitespace) {
                return refuse("its url is empty or has space in it");
            }
            if plans[..index].iter().any(|earlier| earlier.url == plan.url) {
                return refuse("another plan has the same url");
            }
        }
        let plans = if plans.is_empty() { vec![Plan::built_in()] } else { plans };
        Ok(Self { settings: credential, keys, plans, are_required })
    }

    /// What the credential of a batch says that could be counted; `None` when nobody asks for one and it has none that is good.
    /// `is_revoked` is asked with a credential's id.
    ///
    /// # Errors
    ///
    /// Why the batch is not to be counted, when its credential does not cover it and has to.
    pub fn admit(
        &self,
        batch: &BatchRef<'_>,
        now: Timestamp,
        is_revoked: impl Fn(&str) -> bool,
    ) -> Result<Option<Authorization>, Reason> {
        let Some(keys) = &self.keys else { return Ok(None) };
        match authorize_batch(batch, keys, now, is_revoked) {
            Ok(authorization) => Ok(Some(authorization)),
            Err(refusal) if self.are_required => Err(Reason::Credential { refusal }),
            Err(_) => Ok(None),
        }
    }

    /// Whether a batch counts only with a good one.
    pub(crate) fn are_required(&self) -> bool {
        self.are_required
    }

    /// Checks that what the settings ask for is here.
    pub(crate) fn check(&self, settings: &Settings) -> Result<(), CollectorError> {
        let is_here = !settings.require_credentials || self.are_required;
        if is_here { Ok(()) } else { Err(no_keys()) }
    }

    pub(crate) fn keys(&self) -> Option<&KeyRing> {
        self.keys.as_ref()
    }

    pub(crate) fn settings(&self) -> &CredentialSettings {
        &self.settings
    }

    /// The plans that a charm can have, the default first.
    pub(crate) fn plans_of(&self, charm_url: &str) -> Vec<&Plan> {
        let mut plans: Vec<&Plan> = self.plans.iter().filter(|plan| plan.is_for(charm_url)).collect();
        plans.sort_by_key(|plan| !plan.default);
        plans
    }

    /// What a charm has when nobody chose.
    pub(crate) fn default_plan_of(&self, charm_url: &str) -> Option<&Plan> {
        self.plans.iter().find(|plan| plan.default && plan.is_for(charm_url))
    }
}

fn no_keys() -> CollectorError {
    CollectorError::Setting {
        key: "require_credentials",
        why: "no batch can be admitted without keys: make a file of them with `tollgate credential new-key FILE`, and name it as \
              keys_file in [credential]"
            .to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use tollgate_rules::{Terms, mint};
    use tollgate_wire::Document;

    use super::*;

    const KEY: &str = "k 1111111111111111111111111111111111111111111111111111111111111111";

    fn keys() -> KeyRing {
        KeyRing::parse(KEY).expect("a key")
    }

    fn plan(url: &str, charms: &[&str], default: bool) -> Plan {
        let charms = charms.iter().map(|charm| (*charm).to_owned()).collect();
        Plan { url: url.to_owned(), charms, default, description: String::new(), price: String::new() }
    }

    fn with(
        require_credentials: bool,
        plans: Vec<Plan>,
        keys: Option<KeyRing>,
    ) -> Result<Credentials, String> {
        let settings = Settings { require_credentials, ..Settings::for_testing() };
        let credentials = Credentials::new(&settings, CredentialSettings::default(), plans, keys);
        credentials.map_err(|error| error.to_string())
    }

    #[test]
    fn what_cannot_work_is_refused() {
        let refusal = with(true, Vec::new(), None).expect_err("no keys");
        assert!(
            refusal.starts_with("use the setting require_credentials: no batch can be admitted"),
            "{refusal}"
        );
        let twice = vec![plan("a/b", &[], false), plan("a/b", &["ch:x"], false)];
        assert_eq!(
            with(false, twice, None).expect_err("twice"),
            "use the plan \"a/b\": another plan has the same url"
        );
        let blank = vec![plan("a b", &[], false)];
        assert_eq!(
            with(false, blank, None).expect_err("space"),
            "use the plan \"a b\": its url is empty or has space in it"
        );
        let settings = Settings { require_credentials: true, ..Settings::for_testing() };
        assert!(Credentials::default().check(&settings).is_err());
        assert!(Credentials::default().check(&Settings::for_testing()).is_ok());
    }

    #[test]
    fn a_charm_has_its_plans_and_the_first_default() {
        let check = |plans: &[Plan], charm_url: &str, expected: &[&str], default: Option<&str>| {
            let credentials = with(false, plans.to_vec(), None).expect("good");
            let urls: Vec<&str> = credentials.plans_of(charm_url).iter().map(|plan| &*plan.url).collect();
            assert_eq!(urls, expected, "{charm_url}");
            assert_eq!(credentials.default_plan_of(charm_url).map(|plan| &*plan.url), default, "{charm_url}");
        };
        check(&[], "ch:anything-1", &["tollgate/default"], Some("tollgate/default"));
        let plans = [
            plan("a/free", &["ch:a"], false),
            plan("a/gold", &["ch:a", "ch:b"], true),
            plan("any/silver", &[], true),
        ];
        check(&plans, "ch:amd64/jammy/a-7", &["a/gold", "any/silver", "a/free"], Some("a/gold"));
        check(&plans, "ch:b", &["a/gold", "any/silver"], Some("a/gold"));
        check(&plans, "cs:b", &["any/silver"], Some("any/silver"));
        check(&plans[..1], "ch:a-1", &["a/free"], None);
        check(&plans[..1], "ch:c-1", &[], None);
    }

    /// Whether a batch of the model `m` with this credential is refused, and with which words.
    fn refusal(credentials: &Credentials, credential: &str) -> Option<String> {
        let credential = base64_simd::STANDARD.encode_to_string(credential);
        let body = format!(r#"[{{"uuid":"u","env-uuid":"m","credentials":"{credential}"}}]"#);
        let document = Document::new(body.as_bytes());
        let elements = document.batches().expect("an array");
        let batch = elements[0].batch.as_ref().expect("a batch");
        let admitted = credentials.admit(batch, Timestamp::default(), |_| false);
        admitted.err().map(|reason| reason.to_string())
    }

    #[test]
    fn a_batch_needs_a_credential_only_where_one_is_required() {
        let model = |model: &str| Terms { model_uuid: Some(model.to_owned()), ..Terms::default() };
        let minted = |terms: &Terms| mint(terms, &keys(), [0; 16]).expect("terms").to_json_v1();
        let required = with(true, Vec::new(), Some(keys())).expect("good");
        assert_eq!(refusal(&required, &minted(&model("m"))), None);
        assert_eq!(
            refusal(&required, &minted(&model("n"))).as_deref(),
            Some("the credential is for the model \"n\"")
        );
        assert_eq!(refusal(&required, "").as_deref(), Some("the batch carries no credential"));
        for not_required in [with(false, Vec::new(), Some(keys())).expect("good"), Credentials::default()] {
            assert_eq!(refusal(&not_required, ""), None);
            assert_eq!(refusal(&not_required, &minted(&model("n"))), None);
        }
    }
}
