//! The built binary, run as its users run it.

mod allowances;
mod check;
mod collector;
mod config;
mod credential;
mod decide;
mod demo;
mod help;
mod migrate;
mod postgres;
mod sending;
mod serve;
mod tollgate;
mod tools;
