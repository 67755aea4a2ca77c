//! How far long work has come: shown on a terminal, and nothing of it in a pipe.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// Work shorter than this shows nothing: a bar that flashes by tells nobody anything.
const SHOWN_AFTER: Duration = Duration::from_millis(400);

/// A bar on standard error. It vanishes when it is dropped.
#[derive(Debug)]
pub(crate) struct Bar(ProgressBar);

impl Bar {
    /// A bar of bytes; `what` is being done, such as "verifying".
    pub(crate) fn new(what: &'static str) -> Self {
        // Draws on standard error, and only where that is a terminal.
        let bar = ProgressBar::new(0).with_message(what);
        let style = "{msg} {wide_bar:.dim} {bytes} of {total_bytes}, {eta} left";
        Self(bar.with_style(ProgressStyle::with_template(style).expect("the template above is well formed")))
    }

    /// For work whose end is not known: counts batches.
    pub(crate) fn of_batches(what: &'static str) -> Self {
        let bar = ProgressBar::new_spinner().with_message(what);
        let style = "{spinner} {msg}: {human_pos} batches, {per_sec}";
        Self(bar.with_style(ProgressStyle::with_template(style).expect("the template above is well formed")))
    }

    /// For work of which only is known that it goes on.
    pub(crate) fn spinning(what: &'static str) -> Self {
        let bar = ProgressBar::new_spinner().with_message(what);
        Self(bar.with_style(
            ProgressStyle::with_template("{spinner} {msg}").expect("the template above is well formed"),
        ))
    }

    /// For so many batches.
    pub(crate) fn up_to(what: &'static str, n_batches: u64) -> Self {
        let bar = ProgressBar::new(n_batches).with_message(what);
        let style = "{msg} {wide_bar:.dim} {human_pos} of {human_len} batches, {per_sec}, {eta} left";
        Self(bar.with_style(ProgressStyle::with_template(style).expect("the template above is well formed")))
    }

    /// One batch more.
    pub(crate) fn count(&self) {
        self.0.inc(1);
    }

    /// It goes on.
    pub(crate) fn tick(&self) {
        self.0.tick();
    }

    /// So many batches in all.
    pub(crate) fn set_count(&self, n_batches: u64) {
        self.0.set_position(n_batches);
    }

    /// How far the work has come.
    pub(crate) fn set(&self, n_bytes: u64, n_bytes_total: u64) {
        if SHOWN_AFTER < self.0.elapsed() {
            self.0.set_length(n_bytes_total.max(n_bytes));
            self.0.set_position(n_bytes);
        }
    }

    /// Removes the bar, for other output.
    pub(crate) fn clear(&self) {
        self.0.finish_and_clear();
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.clear();
    }
}
