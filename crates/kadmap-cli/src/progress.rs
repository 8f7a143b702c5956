//! Signs of life for what takes long: on standard error, and only if that is a terminal.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// How long a verb may be silent before it says what it waits for.
const PATIENCE: Duration = Duration::from_secs(1);
/// How often a spinner turns.
const SPIN_INTERVAL: Duration = Duration::from_millis(100);

/// Waits for `work`, with a spinner that says `message` if it takes more than a second.
pub(crate) async fn patiently<T>(message: &str, work: impl Future<Output = T>) -> T {
    tokio::pin!(work);
    tokio::select! {
        biased;
        result = &mut work => return result,
        () = tokio::time::sleep(PATIENCE) => {}
    }
    let spinner = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr())
        .with_style(ProgressStyle::default_spinner())
        .with_message(message.to_owned());
    spinner.enable_steady_tick(SPIN_INTERVAL);
    let result = work.await;
    spinner.finish_and_clear();
    result
}

/// A bar of so many steps.
pub(crate) fn bar(message: &'static str, steps: usize) -> ProgressBar {
    let bar =
        ProgressBar::with_draw_target(Some(steps as u64), ProgressDrawTarget::stderr()).with_message(message);
    match ProgressStyle::with_template("{msg:<34} {wide_bar} {pos}/{len}") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
