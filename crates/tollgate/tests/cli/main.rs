//! The built binary, run as its users run it.

mod check;
mod collector;
mod config;
mod demo;
mod help;
mod sending;
mod serve;
mod tollgate;
mod tools;
