//! What is metered.
use std::collections::HashMap;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MeterKind {
    Absolute,
    Gauge,
}

#[derive(Debug, Clone, Default)]
pub struct Meters(pub HashMap<Box<str>, MeterKind>);

impl Meters {
    #[must_use]
    pub fn kind(&self, meter: &str) -> MeterKind {
        self.0.get(meter).copied().unwrap_or(MeterKind::Absolute)
    }
}
