//! The spool and the send loop on a simulated disk, a simulated clock, and collectors that do as they are told.

mod common;
mod damage;
mod faults;
mod life;
mod look;
mod room;
mod rounds;
mod status;
