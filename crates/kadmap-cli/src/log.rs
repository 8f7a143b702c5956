//! What a node tells its operator: one line each on standard error.

use std::io;

use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::failure::Failure;
use crate::typed::GlobalArgs;

/// All crates of the project; others are heard from when something is wrong.
const OWN_CRATES: &str = "kadmap";

/// Starts logging. A server tells what happens, a short verb only what goes wrong.
pub(crate) fn start(args: &GlobalArgs, is_server: bool) -> Result<(), Failure> {
    let usual = if is_server { LevelFilter::INFO } else { LevelFilter::WARN };
    let targets = match (&args.log, args.verbose) {
        (Some(text), _) => parse(text)?,
        (None, 0) => own(usual),
        (None, 1) => own(LevelFilter::DEBUG),
        (None, _) => own(LevelFilter::TRACE),
    };
    let lines = tracing_subscriber::fmt::layer().compact().with_target(false).with_writer(io::stderr);
    tracing_subscriber::registry().with(lines.with_filter(targets)).init();
    Ok(())
}

fn parse(text: &str) -> Result<Targets, Failure> {
    match text.parse::<LevelFilter>() {
        Ok(level) => Ok(own(level)),
        // `Targets` takes a lone word for a module, and so would take any mistyped level.
        Err(_) if !text.contains('=') => Err(Failure::LogLevel { text: text.to_owned() }),
        Err(_) => text.parse().map_err(|_| Failure::LogLevel { text: text.to_owned() }),
    }
}

fn own(level: LevelFilter) -> Targets {
    Targets::new().with_default(level.min(LevelFilter::WARN)).with_target(OWN_CRATES, level)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_and_modules_are_understood_and_nothing_else() {
        assert_eq!(parse("debug").unwrap(), own(LevelFilter::DEBUG));
        assert!(parse("warn,kadmap::transport=trace").is_ok());
        assert!(parse("loud").unwrap_err().to_string().contains("'loud' is no log level"));
    }
}
