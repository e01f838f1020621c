//! Files by their links (contract §3.2).

mod get_file;

pub use get_file::*;
