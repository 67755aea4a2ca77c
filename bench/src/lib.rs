//! What the benchmarks share: the document that they all work on, and rounds in which the contenders take turns; and for those
//! of whole collectors the servers, the load on them and the disk below them.

pub mod bare;
pub mod chunk;
pub mod disk;
pub mod document;
pub mod http;
pub mod load;
pub mod postgres;
pub mod process;
pub mod rounds;
pub mod server;
pub mod stream;
pub mod table;
