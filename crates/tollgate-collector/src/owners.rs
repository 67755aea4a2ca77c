//! Which models users own, as the ledger has it.

use std::collections::{BTreeSet, HashMap};

use tollgate_ledger::{LedgerError, Ownership, Page, Reader};

use crate::terms::Terms;

/// Models read at a time when all are listed.
const PAGE_MODELS: usize = 1_000;

/// The models of each user, of those that have a recorded batch.
#[derive(Debug, Default)]
pub(crate) struct Owners(HashMap<Box<str>, BTreeSet<Box<str>>>);

impl Owners {
    /// Lists all models.
    pub(crate) fn read(reader: &dyn Reader, terms: &Terms) -> Result<Self, LedgerError> {
        let mut owners = Self::default();
        each_owner(reader, terms, |model_uuid, owner| owners.moved(&model_uuid, None, owner.as_deref()))?;
        Ok(owners)
    }

    /// A model is no longer `from`'s, and `to`'s from now on.
    pub(crate) fn moved(&mut self, model_uuid: &str, from: Option<&str>, to: Option<&str>) {
        if let Some(from) = from.and_then(|from| self.0.get_mut(from)) {
            from.remove(model_uuid);
        }
        if let Some(to) = to {
            self.0.entry(to.into()).or_default().insert(model_uuid.into());
        }
    }

    /// The models of a user.
    pub(crate) fn models_of(&self, user: &str) -> impl Iterator<Item = &str> {
        self.0.get(user).into_iter().flatten().map(|uuid| &**uuid)
    }
}

/// Lists all models that have a recorded batch, each with its owner.
pub(crate) fn each_owner(
    reader: &dyn Reader,
    terms: &Terms,
    mut take: impl FnMut(Box<str>, Option<Box<str>>),
) -> Result<(), LedgerError> {
    let mut page = Page { cursor: None, limit: PAGE_MODELS };
    loop {
        let listed = reader.ownerships(&page)?;
        let Some((last, _)) = listed.last() else { return Ok(()) };
        page.cursor = Some(last.to_string());
        for (model_uuid, ownership) in listed {
            let owner = owner(terms, &model_uuid, &ownership);
            take(model_uuid, owner);
        }
    }
}

/// The user who owns a model. Where batches need a credential, a name says nothing: whoever may post for a model chooses it.
pub(crate) fn owner(terms: &Terms, model_uuid: &str, ownership: &Ownership) -> Option<Box<str>> {
    if terms.credentials.are_required() {
        let nameless = Ownership { model_name: None, ..ownership.clone() };
        owner_by_any_sign(terms, model_uuid, &nameless)
    } else {
        owner_by_any_sign(terms, model_uuid, ownership)
    }
}

/// The same, or else whom its name says.
pub(crate) fn owner_by_any_sign(terms: &Terms, model_uuid: &str, ownership: &Ownership) -> Option<Box<str>> {
    let Ownership { model_name, declared_user } = ownership;
    let model_name = model_name.as_deref().unwrap_or_default();
    terms.policy.users.user_of(model_uuid, declared_user.as_deref(), model_name).map(Into::into)
}
