//! Parlour on PostgreSQL, beside the bare driver doing the same statements on the same server in the same run.
//!
//! There are two cores. PostgreSQL has the first one to itself. On the second one runs whoever asks it: the bare driver alone, or Parlour
//! together with the load that asks Parlour, which sleeps here while it has nothing to do. What the load takes is Parlour's loss.

mod bare;
mod bare_sends;
mod community;
mod figures;

pub(crate) use figures::{measure, profile};
