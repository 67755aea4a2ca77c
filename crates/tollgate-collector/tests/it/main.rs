//! A collector over real sockets, on the reference ledger or on one that fails by a script.

mod acts;
mod admin;
mod bad_input;
mod credentials;
mod failures;
mod harness;
mod openapi;
mod posts;
mod slow;
mod standings;
mod tenants;
mod usage;
