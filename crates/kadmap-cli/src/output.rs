//! The only place that writes: results to standard output, messages to standard error.

use std::ffi::OsString;
use std::io::{self, IsTerminal, Write};

use clap::error::ErrorKind;
use serde::Serialize;

use crate::failure::{Failure, Kind};

/// Where results and messages go, and whether as JSON.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    json: bool,
}

/// An error as a script reads it.
#[derive(Serialize)]
struct ErrorLine<'a> {
    error: &'a str,
    kind: Kind,
    code: u8,
}

impl Output {
    pub(crate) fn new(json: bool) -> Self {
        Self { json }
    }

    /// For when the arguments could not be understood, yet may ask for JSON.
    pub(crate) fn of_raw_arguments(arguments: &[OsString]) -> Self {
        Self::new(arguments.iter().skip(1).take_while(|arg| *arg != "--").any(|arg| arg == "--json"))
    }

    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// Writes a result: as one line of JSON if that was asked for, and otherwise as `plain` writes it.
    pub(crate) fn result<T: Serialize>(
        &self,
        value: &T,
        plain: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Result<(), Failure> {
        let mut stdout = io::stdout().lock();
        let written = if self.json {
            serde_json::to_writer(&mut stdout, value).map_err(io::Error::from).and_then(|()| writeln!(stdout))
        } else {
            plain(&mut stdout)
        };
        written.and_then(|()| stdout.flush()).map_err(Failure::Output)
    }

    /// Writes one line of a result.
    pub(crate) fn line(&self, text: &str) -> Result<(), Failure> {
        let mut stdout = io::stdout().lock();
        writeln!(stdout, "{text}").and_then(|()| stdout.flush()).map_err(Failure::Output)
    }

    /// Writes bytes and nothing else; a terminal gets a line end, so that the prompt stays where it belongs.
    pub(crate) fn bytes(&self, bytes: &[u8]) -> Result<(), Failure> {
        let mut stdout = io::stdout().lock();
        let ends_open = !bytes.ends_with(b"\n") && stdout.is_terminal();
        let end: &[u8] = if ends_open { b"\n" } else { b"" };
        let written = stdout.write_all(bytes).and_then(|()| stdout.write_all(end));
        written.and_then(|()| stdout.flush()).map_err(Failure::Output)
    }

    /// Lets something long write its results as they come.
    pub(crate) fn stream<T>(&self, write: impl FnOnce(&mut dyn Write) -> T) -> T {
        write(&mut io::stdout())
    }

    /// Reports a failure and gives its exit code.
    pub(crate) fn fail(&self, failure: &Failure) -> u8 {
        if !failure.is_closed_pipe() {
            self.error(&failure.to_string(), failure.kind());
        }
        failure.exit_code()
    }

    /// Answers what clap has to say: help and version are results, everything else is wrong usage.
    pub(crate) fn answer_clap(&self, error: &clap::Error) -> u8 {
        let text = error.render().to_string();
        match error.kind() {
            ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => match self.line(text.trim_end()) {
                Ok(()) => 0,
                Err(failure) => self.fail(&failure),
            },
            ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand if !self.json => {
                self.message(text.trim_end());
                Kind::Usage.code()
            }
            _ => {
                self.error(&one_line(&text), Kind::Usage);
                Kind::Usage.code()
            }
        }
    }

    fn error(&self, text: &str, kind: Kind) {
        let text = text.replace('\n', " ");
        if self.json {
            let line = ErrorLine { error: &text, kind, code: kind.code() };
            self.message(&serde_json::to_string(&line).unwrap_or(text.clone()));
        } else {
            self.message(&format!("kadmap: {text}"));
        }
    }

    fn message(&self, text: &str) {
        // With standard error closed there is nobody left to tell.
        let _ = writeln!(io::stderr().lock(), "{text}");
    }
}

/// What clap says in paragraphs, without its usage, as one line.
fn one_line(text: &str) -> String {
    let text = text.strip_prefix("error: ").unwrap_or(text);
    let mut line = String::new();
    for part in text.lines().map(str::trim).filter(|part| !part.is_empty()) {
        if part.starts_with("Usage:") || part.starts_with("For more information") {
            break;
        }
        let part = part.strip_prefix("tip: ").unwrap_or(part);
        line.push_str(match line.chars().last() {
            None => "",
            Some(':') => " ",
            Some('>') if part.starts_with(['<', '-']) => ", ",
            Some(_) => "; ",
        });
        line.push_str(part);
    }
    line.push_str("; see 'kadmap --help'");
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::typed::Cli;
    use clap::Parser;

    fn message(args: &[&str]) -> String {
        one_line(&Cli::try_parse_from(args).unwrap_err().render().to_string())
    }

    #[test]
    fn wrong_usage_is_told_in_one_line_with_what_to_do() {
        assert_eq!(
            message(&["kadmap", "get", "x", "--jason"]),
            "unexpected argument '--jason' found; a similar argument exists: '--json'; see 'kadmap --help'"
        );
        assert_eq!(
            message(&["kadmap", "put"]),
            "the following required arguments were not provided: <NAME>, <VALUE>; see 'kadmap --help'"
        );
        assert_eq!(
            message(&["kadmap", "gett"]),
            "unrecognized subcommand 'gett'; a similar subcommand exists: 'get'; see 'kadmap --help'"
        );
    }
}
