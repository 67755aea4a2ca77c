//! What the benchmarks share: the document that they all work on, and rounds in which the contenders take turns.

pub mod document;
pub mod rounds;
pub mod stream;
