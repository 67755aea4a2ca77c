//! The built binary, run as its users run it.

mod check;
mod config;
mod help;
mod tollgate;
