//! Which names a simulated disk has, and what changes them.

use std::collections::BTreeMap;

#[derive(Debug, Clone)]
pub(super) enum NameChange {
    Create { name: String, file: usize },
    Rename { from: String, to: String, file: usize },
    Remove { name: String },
}

impl NameChange {
    /// The name that changes; of a renamed file the new one, which is in the same folder.
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Create { name, .. } | Self::Remove { name } | Self::Rename { to: name, .. } => name,
        }
    }

    pub(super) fn apply(&self, names: &mut BTreeMap<String, usize>) {
        match self {
            Self::Create { name, file } => {
                names.insert(name.clone(), *file);
            }
            Self::Rename { from, to, file } => {
                names.remove(from);
                names.insert(to.clone(), *file);
            }
            Self::Remove { name } => {
                names.remove(name);
            }
        }
    }
}

/// The prefix of the folder that `name` is in.
pub(super) fn prefix_of(name: &str) -> &str {
    let end = name.trim_end_matches('/').rfind('/').map_or(0, |slash| slash + 1);
    &name[..end]
}
