//! Tests of the journal through its public face, on the simulated disk and on a real one.

mod backup;
mod basics;
mod beside;
mod checkpoint;
mod common;
mod compaction;
mod damage;
mod faults;
mod forgetting;
mod model;
mod power;
mod room;
mod salvage;
mod subfolder;
