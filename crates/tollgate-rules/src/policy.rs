//! What a configuration says of meters, users and allowances, together.

use crate::{Allowances, Meters, Users};

/// All that operators decide of what is metered, and that can change while a collector runs.
#[derive(Debug, Clone, Default)]
pub struct Policy {
    /// What is metered.
    pub meters: Meters,
    /// Who owns which model.
    pub users: Users,
    /// How much may be used.
    pub allowances: Allowances,
}
