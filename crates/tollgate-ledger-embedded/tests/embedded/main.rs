//! Tests of the embedded ledger through its public face, on the simulated disk and on a real one.

mod acts;
mod backup;
mod common;
mod contract;
mod damage;
mod format;
mod index;
mod lock;
mod power;
mod prepared;
mod refused;
mod reopen;
mod retention;
mod salvage;
mod source;
mod usage;
