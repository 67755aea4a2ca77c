//! Exact decimals.

/// An amount: exact, finite, not negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Decimal(());

/// An exact sum of any number of [`Decimal`]s.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sum(());

/// Why a value cannot be counted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    /// placeholder
    #[error("placeholder")]
    Placeholder,
}
