//! Who owns which model.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::owner;

/// One `[[user]]` of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserSettings {
    /// The user.
    pub name: String,
    /// The models that the user owns, by their uuids.
    pub models: Vec<String>,
}

/// The configuration says of a model that two users own it, or of a user that it has no name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UserError {
    /// No name.
    #[error("use a user: its name is empty")]
    NoName,
    /// Two owners.
    #[error("use the users {first:?} and {second:?}: both are said to own the model {model_uuid:?}")]
    TwoOwners {
        /// One.
        first: String,
        /// The other.
        second: String,
        /// Of what.
        model_uuid: String,
    },
}

/// Who owns which model, as far as the configuration says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Users(HashMap<Box<str>, Box<str>>);

impl Users {
    /// Reads what the configuration says.
    ///
    /// # Errors
    ///
    /// When a user has no name, or a model two users.
    pub fn new(settings: &[UserSettings]) -> Result<Self, UserError> {
        let mut owners = HashMap::<Box<str>, Box<str>>::new();
        for UserSettings { name, models } in settings {
            if name.is_empty() {
                return Err(UserError::NoName);
            }
            for model_uuid in models {
                let before = owners.insert(model_uuid.as_str().into(), name.as_str().into());
                if let Some(first) = before.filter(|first| **first != **name) {
                    let (first, second) = (first.into(), name.clone());
                    return Err(UserError::TwoOwners { first, second, model_uuid: model_uuid.clone() });
                }
            }
        }
        Ok(Self(owners))
    }

    /// The user who owns a model: whom the configuration says, or else whom a credential `declared`, or else who is in the model's
    /// name.
    #[must_use]
    pub fn user_of<'a>(
        &'a self,
        model_uuid: &str,
        declared: Option<&'a str>,
        model_name: &'a str,
    ) -> Option<&'a str> {
        let configured = self.0.get(model_uuid).map(|user| &**user);
        configured.or(declared).or_else(|| owner(model_name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(name: &str, models: &[&str]) -> UserSettings {
        UserSettings { name: name.to_owned(), models: models.iter().map(ToString::to_string).collect() }
    }

    #[test]
    fn the_configuration_comes_before_a_credential_and_that_before_the_name() {
        let users = Users::new(&[user("bob", &["m", "n"]), user("carol", &["o"])]).expect("good users");
        assert_eq!(users.user_of("m", Some("dave"), "erin/m"), Some("bob"));
        assert_eq!(users.user_of("o", None, ""), Some("carol"));
        assert_eq!(users.user_of("p", Some("dave"), "erin/p"), Some("dave"));
        assert_eq!(users.user_of("p", None, "erin/p"), Some("erin"));
        assert_eq!(users.user_of("p", None, "p"), None);
    }

    #[test]
    fn nobody_without_a_name_and_nothing_with_two_owners() {
        let refused = |settings: &[UserSettings]| Users::new(settings).expect_err("refused").to_string();
        assert_eq!(refused(&[user("", &["m"])]), "use a user: its name is empty");
        assert_eq!(
            refused(&[user("bob", &["m"]), user("carol", &["n", "m"])]),
            "use the users \"bob\" and \"carol\": both are said to own the model \"m\""
        );
        assert!(Users::new(&[user("bob", &["m", "m"]), user("bob", &["m"])]).is_ok());
    }
}
