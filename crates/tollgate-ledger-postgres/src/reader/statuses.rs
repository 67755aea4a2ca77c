//! What operators and credentials said.

use tollgate_ledger::{HandStatus, LedgerError};
use tollgate_wire::{Status, Timestamp};

use super::AsyncQuestion;
use crate::error::damaged;
use crate::session::Session;
use crate::{key, text};

/// Statuses set by hand: all, those of a model, or one.
pub(super) struct Statuses {
    model: Option<Vec<u8>>,
    unit: Option<String>,
}

impl Statuses {
    pub(super) fn of_unit(model_uuid: &str, unit_name: &str) -> Self {
        Self { model: Some(key::pack(model_uuid)), unit: Some(text::stored(unit_name).into_owned()) }
    }

    pub(super) fn of_model(model_uuid: Option<&str>) -> Self {
        Self { model: model_uuid.map(key::pack), unit: None }
    }
}

impl AsyncQuestion<Vec<HandStatus>> for Statuses {
    async fn ask(self, session: &mut Session) -> Result<Vec<HandStatus>, LedgerError> {
        const STEP: &str = "read statuses set by hand";
        const COLUMNS: &str = "SELECT model, unit, status, info, set_at, expires_at FROM statuses";
        let rows = match (&self.model, &self.unit) {
            (Some(model), Some(unit)) => {
                session
                    .query(STEP, &format!("{COLUMNS} WHERE model = $1 AND unit = $2"), &[model, unit])
                    .await?
            }
            (Some(model), None) => {
                session.query(STEP, &format!("{COLUMNS} WHERE model = $1"), &[model]).await?
            }
            (None, _) => session.query(STEP, COLUMNS, &[]).await?,
        };
        let time = |text: String| {
            Timestamp::parse(&text).map_err(|error| damaged("read when a status was set").because(error))
        };
        let mut statuses = Vec::with_capacity(rows.len());
        for row in rows {
            let status: Status = row
                .get::<_, String>(2)
                .parse()
                .map_err(|_| damaged("read a status set by hand: it is none of GREEN, AMBER and RED"))?;
            statuses.push(HandStatus {
                model_uuid: key::unpack(row.get(0))?.into(),
                unit_name: text::read(row.get(1)).into(),
                status,
                info: text::read(row.get(3)).into(),
                set: time(row.get(4))?,
                expires: row.get::<_, Option<String>>(5).map(time).transpose()?,
            });
        }
        statuses.sort_by(|left, right| {
            (&left.model_uuid, &left.unit_name).cmp(&(&right.model_uuid, &right.unit_name))
        });
        Ok(statuses)
    }
}

/// Whether a credential was revoked.
pub(super) struct IsRevoked(pub(super) String);

impl AsyncQuestion<bool> for IsRevoked {
    async fn ask(self, session: &mut Session) -> Result<bool, LedgerError> {
        const FIND: &str = "SELECT credential FROM revoked WHERE credential = $1";
        let rows = session.query("look for a revoked credential", FIND, &[&text::stored(&self.0)]).await?;
        Ok(!rows.is_empty())
    }
}

/// Who owns a model by the credential that was declared last.
pub(super) struct DeclaredUser(pub(super) String);

impl AsyncQuestion<Option<Box<str>>> for DeclaredUser {
    async fn ask(self, session: &mut Session) -> Result<Option<Box<str>>, LedgerError> {
        const FIND: &str = "SELECT owner FROM declared WHERE model = $1";
        let rows = session.query("read who owns a model", FIND, &[&key::pack(&self.0)]).await?;
        Ok(rows.first().map(|row| text::read(row.get(0)).into()))
    }
}
