//! Whose models are.

use std::collections::HashMap;

use tollgate_ledger::{LedgerError, Ownership, Page};

use super::AsyncQuestion;
use super::models::{Newest, on_page};
use crate::delta::Content;
use crate::session::Session;
use crate::{key, text};

/// Of these models, in this order.
pub(super) struct Of(pub(super) Vec<Vec<u8>>);

impl AsyncQuestion<Vec<Ownership>> for Of {
    async fn ask(self, session: &mut Session) -> Result<Vec<Ownership>, LedgerError> {
        read(session, &self.0).await
    }
}

/// Of the models on a page.
pub(super) struct List(pub(super) Page);

impl AsyncQuestion<Vec<(Box<str>, Ownership)>> for List {
    async fn ask(self, session: &mut Session) -> Result<Vec<(Box<str>, Ownership)>, LedgerError> {
        let models = on_page(session, &self.0).await?;
        let found = read(session, &models).await?;
        let named = models.iter().zip(found).map(|(model, found)| Ok((key::unpack(model)?.into(), found)));
        named.collect()
    }
}

async fn read(session: &mut Session, models: &[Vec<u8>]) -> Result<Vec<Ownership>, LedgerError> {
    const READ: &str = "-- read who owns models
        SELECT model, owner, content, second, nanosecond, place, name, created FROM (
            SELECT model, NULL AS owner, NULL::bytea AS content, created_second AS second,
                created_nanosecond AS nanosecond, created_place AS place, name, created
            FROM models WHERE model = ANY ($1)
            UNION ALL
            SELECT model, NULL, content, 0, 0, 0, NULL, NULL FROM deltas WHERE model = ANY ($1)
            UNION ALL
            SELECT model, owner, NULL, 0, 0, 0, NULL, NULL FROM declared WHERE model = ANY ($1)
        ) q";
    let mut found = HashMap::<Vec<u8>, (Option<Newest>, Option<Box<str>>)>::new();
    for row in session.query("read who owns models", READ, &[&models]).await? {
        let (newest, declared) = found.entry(row.get(0)).or_default();
        if let Some(owner) = row.get::<_, Option<String>>(1) {
            *declared = Some(text::read(owner).into());
        } else {
            let next = match row.get::<_, Option<&[u8]>>(2) {
                Some(content) => Newest::of(&Content::read(content)?)?,
                None => Newest::stored(&row, 3),
            };
            *newest = newest.take().max(Some(next));
        }
    }
    let ownership = |(newest, declared_user): (Option<Newest>, _)| Ownership {
        model_name: newest.map(|newest| newest.model_name.into()),
        declared_user,
    };
    let found: HashMap<_, _> = found.into_iter().map(|(model, found)| (model, ownership(found))).collect();
    Ok(models.iter().map(|model| found.get(model).cloned().unwrap_or_default()).collect())
}
