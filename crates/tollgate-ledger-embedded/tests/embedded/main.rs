//! Tests of the embedded ledger through its public face, on the simulated disk and on a real one.

mod common;
mod contract;
mod damage;
mod format;
mod index;
mod power;
mod refused;
mod reopen;
