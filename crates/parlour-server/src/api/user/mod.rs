//! The directory that private messages need (contract §5.2, §6).

mod connections;
mod follows;
mod get_me;
mod get_user;
mod hides;
mod settings;

pub use connections::*;
pub use follows::*;
pub use get_me::*;
pub use get_user::*;
pub use hides::*;
pub use settings::*;
