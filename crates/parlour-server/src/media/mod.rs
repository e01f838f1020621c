//! Files on their way out: links that open without a token, and answers that browsers can cache, resume and seek in.

mod answer;
mod conditions;
mod link;

pub use answer::{FileAnswer, FileHead, body};
pub use link::{MediaLinks, OpenedLink};
