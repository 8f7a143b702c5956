//! How far a run is, on stderr: a bar when a person watches, a line for each phase otherwise.

use std::io::{IsTerminal, Write};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// The phase a run is in, and how far it is.
#[derive(Debug, Clone)]
pub(crate) struct Progress {
    bar: ProgressBar,
    scenario: &'static str,
}

impl Progress {
    pub(crate) fn new(scenario: &'static str) -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        if let Ok(style) = ProgressStyle::with_template("{prefix}: {msg} [{bar:30}] {pos}/{len}") {
            bar.set_style(style);
        }
        bar.set_prefix(scenario);
        Self { bar, scenario }
    }

    /// Begins a phase of so many steps.
    pub(crate) fn begin(&self, what: impl Into<String>, steps: usize) {
        let what = what.into();
        if !std::io::stderr().is_terminal() && self.bar.message() != what {
            // With stderr closed there is nobody left to tell.
            let _ = writeln!(std::io::stderr(), "{}: {what}", self.scenario);
        }
        self.bar.set_message(what);
        self.bar.set_length(steps as u64);
        self.bar.set_position(0);
    }

    /// One step of the phase is done.
    pub(crate) fn step(&self) {
        self.bar.inc(1);
    }

    /// Takes the bar away.
    pub(crate) fn clear(&self) {
        self.bar.finish_and_clear();
    }
}
