//! Who owns which model.
use std::collections::HashMap;

#[derive(Debug, Clone, Default)]
pub struct Users(pub HashMap<Box<str>, Box<str>>);

impl Users {
    #[must_use]
    pub fn user_of<'a>(
        &'a self,
        model_uuid: &str,
        declared: Option<&'a str>,
        model_name: &'a str,
    ) -> Option<&'a str> {
        self.0.get(model_uuid).map(|user| &**user).or(declared).or_else(|| crate::owner(model_name))
    }
}
