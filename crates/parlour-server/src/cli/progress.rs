//! Progress bars: on standard error, and only where somebody looks on.

use indicatif::{ProgressBar, ProgressStyle};
use parlour_store::{Progress, Watch};
use std::sync::Arc;
use std::time::Duration;

/// How often a bar that does not know its end shows that it lives.
const TICK: Duration = Duration::from_millis(100);

/// A bar for work of several steps, and what the store tells of them.
pub(super) fn steps() -> (ProgressBar, Watch) {
    let bar = ProgressBar::no_length();
    let style = ProgressStyle::with_template("{msg:22} {bar:40} {pos}/{len}  {eta} left");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.enable_steady_tick(TICK);
    let shown = bar.clone();
    let watch: Watch = Arc::new(move |Progress { step, done, total }| {
        if shown.message() != step {
            shown.reset();
            shown.set_message(step);
        }
        shown.set_length(total);
        shown.set_position(done);
    });
    (bar, watch)
}
