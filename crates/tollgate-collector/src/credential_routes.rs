//! Where Juju's clients ask for credentials: `juju deploy`, `juju plans`, `juju sla`, and JIMM when it makes a model.

use std::sync::Arc;

use axum::extract::{Query, Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use tollgate_rules::{CredentialId, Macaroon, Terms, mint};
use tollgate_wire::Timestamp;
use tracing::info;
use uuid::Uuid;

use crate::act::now;
use crate::body::{self, BodyLimits};
use crate::credentials::{Credentials, Plan};
use crate::decompress::decompress;
use crate::post::Post;
use crate::problem::{Problem, ToldJuju};
use crate::{Settings, wire_routes};

/// Bytes of a request for a credential. It has a handful of names.
const REQUEST_BYTES_MAX: usize = 64 << 10;

const SECONDS_A_DAY: i64 = 86_400;

/// What JIMM calls its one application, and the charm of it.
const JIMM_SERVICE: &str = "jimm";
const JIMM_CHARM: &str = "cs:~canonical/jimm-0";

/// What hands credentials out.
pub(crate) struct Issuer {
    post: Arc<Post>,
    limits: BodyLimits,
}

impl Issuer {
    pub(crate) fn new(post: Arc<Post>, settings: &Settings) -> Self {
        let limits = BodyLimits {
            body_bytes_max: REQUEST_BYTES_MAX,
            compressed_bytes_max: REQUEST_BYTES_MAX,
            timeout_ms: settings.body_timeout_ms,
        };
        Self { post, limits }
    }
}

/// The paths about credentials, under every base of a collector; a part of a router with any state.
pub(crate) fn router<S: Clone + Send + Sync + 'static>(issuer: Arc<Issuer>) -> Router<S> {
    let mut router = Router::new();
    for base in wire_routes::BASES {
        // A configured base may end in a slash.
        for base in [format!("{base}/"), format!("{base}//")] {
            router = router
                .route(&format!("{base}plan/authorize"), post(authorize_plan))
                .route(&format!("{base}sla/authorize"), post(authorize_sla))
                .route(&format!("{base}charm"), get(plans))
                .route(&format!("{base}charm/default"), get(default_plan))
                .route(&format!("{base}v4/jimm/authorization"), post(authorize_jimm));
        }
    }
    router.with_state(issuer)
}

/// A credential for the units of one application. It is answered as it is to be put into batches: Juju keeps the body, whatever
/// it is.
async fn authorize_plan(State(issuer): State<Arc<Issuer>>, request: Request) -> Result<Response, ToldJuju> {
    let members = issuer.receive(request).await?;
    let charm_url = members.required(&["charm-url"])?;
    let plan = match members.text(&["plan-url"])? {
        Some(url) => issuer.plan(&charm_url, &url)?,
        None => issuer.default_plan(&charm_url)?,
    };
    let terms = Terms {
        model_uuid: Some(members.required(&["env-uuid", "model-uuid"])?),
        service: Some(members.required(&["service-name", "application"])?),
        plan: Some(plan.url),
        charm_url: Some(charm_url),
        ..Terms::default()
    };
    let credential = issuer.hand_out("plan", terms)?;
    Ok(([(CONTENT_TYPE, "application/json")], credential.to_json_v1()).into_response())
}

/// A credential for the batches of a model itself.
async fn authorize_sla(State(issuer): State<Arc<Issuer>>, request: Request) -> Result<Response, ToldJuju> {
    #[derive(Serialize)]
    struct Answer {
        /// Who pays: nobody here knows who asks.
        owner: &'static str,
        credentials: Box<RawValue>,
    }

    let members = issuer.receive(request).await?;
    let terms = Terms {
        model_uuid: Some(members.required(&["model"])?),
        sla: Some(members.required(&["sla"])?),
        ..Terms::default()
    };
    let credential = issuer.hand_out("sla", terms)?;
    let credentials = RawValue::from_string(credential.to_json_v1()).expect("what was written is JSON");
    Ok(Json(Answer { owner: "", credentials }).into_response())
}

/// A credential for what a JIMM of 2018 to 2020 posts of a user's models.
async fn authorize_jimm(State(issuer): State<Arc<Issuer>>, request: Request) -> Result<Response, ToldJuju> {
    let members = issuer.receive(request).await?;
    let terms = Terms {
        user: Some(members.object("tags").required(&["user"])?),
        service: Some(JIMM_SERVICE.to_owned()),
        charm_url: Some(JIMM_CHARM.to_owned()),
        ..Terms::default()
    };
    let credential = issuer.hand_out("user", terms)?.to_json_v1();
    let credentials = base64_simd::STANDARD.encode_to_string(credential);
    Ok(Json(json!({ "credentials": credentials })).into_response())
}

#[derive(Deserialize)]
struct OfCharm {
    #[serde(rename = "charm-url", default)]
    charm_url: String,
}

impl OfCharm {
    fn of(request: &Request) -> Result<String, Problem> {
        let query = Query::<Self>::try_from_uri(request.uri());
        match query {
            Ok(Query(Self { charm_url })) if !charm_url.is_empty() => Ok(charm_url),
            _ => Err(Problem::BadParameter { reason: "charm-url is missing: name a charm.".to_owned() }),
        }
    }
}

/// The plans that a charm can have.
async fn plans(State(issuer): State<Arc<Issuer>>, request: Request) -> Result<Response, ToldJuju> {
    #[derive(Serialize)]
    struct Row<'a> {
        url: &'a str,
        plan: String,
        #[serde(rename = "created-on")]
        created_on: &'static str,
    }

    issuer.check_keys()?;
    let charm_url = OfCharm::of(&request)?;
    let credentials = issuer.credentials();
    let rows = credentials.plans_of(&charm_url).into_iter().map(|plan| Row {
        url: &plan.url,
        plan: definition(plan),
        // A configuration does not say, and Go's zero time is what nobody takes for a date.
        created_on: "0001-01-01T00:00:00Z",
    });
    Ok(Json(rows.collect::<Vec<_>>()).into_response())
}

/// A plan in YAML, of which `juju plans` shows price and text. A string in JSON is one in YAML too.
fn definition(plan: &Plan) -> String {
    format!("description:\n  price: {}\n  text: {}\n", json!(plan.price), json!(plan.description))
}

/// What a charm has when nobody chose; 404 says that somebody has to.
async fn default_plan(State(issuer): State<Arc<Issuer>>, request: Request) -> Result<Response, ToldJuju> {
    issuer.check_keys()?;
    let charm_url = OfCharm::of(&request)?;
    let plan = issuer.default_plan(&charm_url)?;
    Ok(Json(json!({ "url": plan.url })).into_response())
}

impl Issuer {
    /// Those that count now.
    fn credentials(&self) -> Arc<Credentials> {
        self.post.terms().credentials.clone()
    }

    fn check_keys(&self) -> Result<(), Problem> {
        self.credentials().keys().map(drop).ok_or(Problem::NoKeys)
    }

    fn plan(&self, charm_url: &str, url: &str) -> Result<Plan, Problem> {
        let credentials = self.credentials();
        let plan = credentials.plans_of(charm_url).into_iter().find(|plan| plan.url == url).cloned();
        plan.ok_or(Problem::NoSuchPlan)
    }

    fn default_plan(&self, charm_url: &str) -> Result<Plan, Problem> {
        self.credentials().default_plan_of(charm_url).cloned().ok_or(Problem::NoDefaultPlan)
    }

    /// Reads who is asked for, unless nothing is handed out here.
    async fn receive(&self, request: Request) -> Result<Members, Problem> {
        let (head, body) = request.into_parts();
        let is_open = self.credentials().settings().self_service;
        let refusal = self.check_keys().err().or((!is_open).then_some(Problem::NotSelfService));
        if let Some(refusal) = refusal {
            body::throw_away(&head.headers, body);
            return Err(refusal);
        }
        let received = body::receive(&head.headers, body, &self.post.budget, self.limits).await?;
        let document = decompress(received.bytes, received.encoding, self.limits.body_bytes_max)?;
        serde_json::from_slice(&document).map(Members).map_err(|error| Problem::BadAuthorization {
            reason: format!("The body is not a JSON object: {error}."),
        })
    }

    fn hand_out(&self, kind: &'static str, terms: Terms) -> Result<Macaroon, Problem> {
        let terms = Terms { expires: self.expiry(), ..terms };
        let credentials = self.credentials();
        let keys = credentials.keys().ok_or(Problem::NoKeys)?;
        let minted = mint(&terms, keys, Uuid::new_v4().into_bytes());
        let credential =
            minted.map_err(|error| Problem::BadAuthorization { reason: format!("Failed to {error}.") })?;
        // Its own id is all of it that is ours; the rest is what somebody asked for.
        if let Ok(CredentialId { key_id, credential_id, .. }) = CredentialId::of(&credential) {
            info!(credential.id = %credential_id, key.id = %key_id, kind, "handed out a credential");
        }
        Ok(credential)
    }

    fn expiry(&self) -> Option<Timestamp> {
        let n_days = i64::from(self.credentials().settings().valid_days);
        if n_days == 0 {
            return None;
        }
        let now = now();
        Timestamp::from_unix(now.unix_seconds() + n_days * SECONDS_A_DAY, 0)
    }
}

/// What a request says. Clients of all ages ask here: what is not known does not matter, and `null` is as good as nothing.
struct Members(Map<String, Value>);

impl Members {
    /// The text under the first of these names that says something.
    fn text(&self, names: &[&'static str]) -> Result<Option<String>, Problem> {
        for name in names {
            match self.0.get(*name) {
                None | Some(Value::Null) => {}
                Some(Value::String(text)) if text.is_empty() => {}
                Some(Value::String(text)) => return Ok(Some(text.clone())),
                Some(_) => {
                    return Err(Problem::BadAuthorization { reason: format!("{name} is not a string.") });
                }
            }
        }
        Ok(None)
    }

    fn required(&self, names: &[&'static str]) -> Result<String, Problem> {
        let missing = || Problem::BadAuthorization { reason: format!("{} is missing.", names[0]) };
        self.text(names)?.ok_or_else(missing)
    }

    fn object(&self, name: &str) -> Self {
        Self(self.0.get(name).and_then(Value::as_object).cloned().unwrap_or_default())
    }
}
