//! What nodes have to say, in Python's `logging`.
//!
//! A node's thread never waits for the interpreter: what it says goes through a bounded channel to a thread that does.

use std::fmt::{self, Write};
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{OnceLock, RwLock};
use std::thread;
use std::time::{Duration, Instant};

use pyo3::prelude::*;
use pyo3::types::PyDict;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

use crate::attach::attach;
use crate::errors::Raised;

/// Lines that wait to be logged at most; what comes when nobody takes them is dropped.
const LINES_MAX: usize = 1024;
/// How long the end of a program waits for its log at most, and how often it looks.
const FLUSH_MAX: Duration = Duration::from_secs(1);
const FLUSH_LOOK: Duration = Duration::from_millis(1);
/// The crates that are heard, and the name of the logger.
const OWN: &str = "kadmap";
/// Python's levels, from which each of ours counts: `logging` has none for traces.
const LEVELS: [(Level, u8); 5] =
    [(Level::ERROR, 40), (Level::WARN, 30), (Level::INFO, 20), (Level::DEBUG, 10), (Level::TRACE, 5)];

/// The least level that is passed on, as Python counts; warnings unless told otherwise.
static LEVEL: AtomicU8 = AtomicU8::new(30);
/// Lines on their way to `logging`.
static PENDING: AtomicUsize = AtomicUsize::new(0);
static WRITER: RwLock<Option<Writer>> = RwLock::new(None);

/// The way to the thread that logs.
struct Writer {
    /// The process that the thread belongs to.
    pid: u32,
    lines: SyncSender<Line>,
}

struct Line {
    level: u8,
    target: &'static str,
    text: String,
}

/// Passes on what is at least this serious to Python's `logging`, counted as there: 10 debug, 20 info, 30 warning.
///
/// Python's own logger "kadmap" decides what becomes of it.
#[pyfunction]
pub(crate) fn set_log_level(level: u8) {
    LEVEL.store(level, Ordering::Relaxed);
    tracing::callsite::rebuild_interest_cache();
}

/// Waits until what nodes have said so far has been logged, a second at most: for the end of the program, which would cut
/// the rest off.
#[pyfunction]
pub(crate) fn flush_log(py: Python<'_>) {
    let until = Instant::now() + FLUSH_MAX;
    py.detach(|| {
        while PENDING.load(Ordering::Relaxed) > 0 && Instant::now() < until {
            thread::sleep(FLUSH_LOOK);
        }
    });
}

/// Starts passing on, once for each process.
pub(crate) fn start() -> PyResult<()> {
    static SUBSCRIBED: OnceLock<()> = OnceLock::new();
    SUBSCRIBED.get_or_init(|| {
        // Another subscriber, such as the command line's, stays: it was first.
        let _ = tracing::subscriber::set_global_default(Bridge);
    });
    let pid = std::process::id();
    // After a fork the lock may be held by a thread that is no more; then the child goes without a log.
    let Ok(mut writer) = WRITER.try_write() else { return Ok(()) };
    if writer.as_ref().is_some_and(|writer| writer.pid == pid) {
        return Ok(());
    }
    PENDING.store(0, Ordering::Relaxed);
    let (lines, received) = sync_channel(LINES_MAX);
    let thread = thread::Builder::new().name("kadmap-log".to_owned()).spawn(move || write_lines(&received));
    thread.map_err(|error| Raised::StartError.error(format!("cannot start the log's thread: {error}")))?;
    // What a parent left must not be touched, not even to drop it.
    std::mem::forget(writer.replace(Writer { pid, lines }));
    Ok(())
}

fn write_lines(lines: &Receiver<Line>) {
    while let Ok(line) = lines.recv() {
        // A handler that raises has been reported by `logging` itself.
        let logged = attach(|py| line.write(py));
        PENDING.fetch_sub(1, Ordering::Relaxed);
        if logged.is_none() {
            return;
        }
    }
}

impl Line {
    fn write(&self, py: Python<'_>) -> PyResult<()> {
        let logger = py.import("logging")?.call_method1("getLogger", (logger_of(self.target),))?;
        logger.call_method1("log", (self.level, "%s", &self.text))?;
        Ok(())
    }
}

/// Logs an exception of the user's own code with its traceback, on the thread that it happened on.
pub(crate) fn exception(py: Python<'_>, what: &str, error: &PyErr) {
    let log = || -> PyResult<()> {
        let options = PyDict::new(py);
        options.set_item("exc_info", error.value(py))?;
        let logger = py.import("logging")?.call_method1("getLogger", (OWN,))?;
        logger.call_method("error", ("%s", what), Some(&options))?;
        Ok(())
    };
    // A log that fails has nowhere left to be told.
    let _ = log();
}

/// The logger of a module: "kadmap_store::disk" logs as "kadmap.store.disk".
fn logger_of(target: &str) -> String {
    let target = target.replace("::", ".");
    match target.strip_prefix("kadmap_") {
        Some(rest) => format!("{OWN}.{rest}"),
        None => target,
    }
}

fn level_of(level: &Level) -> u8 {
    LEVELS.iter().find(|(known, _)| known == level).map_or(0, |(_, number)| *number)
}

/// What the crates speak to.
struct Bridge;

impl Subscriber for Bridge {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event()
            && metadata.target().starts_with(OWN)
            && level_of(metadata.level()) >= LEVEL.load(Ordering::Relaxed)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        let least = LEVEL.load(Ordering::Relaxed);
        let most_verbose = LEVELS.iter().rev().find(|(_, number)| *number >= least);
        Some(most_verbose.map_or(LevelFilter::OFF, |(level, _)| LevelFilter::from_level(*level)))
    }

    fn event(&self, event: &Event<'_>) {
        let metadata = event.metadata();
        let mut text = Text::default();
        event.record(&mut text);
        let line = Line { level: level_of(metadata.level()), target: metadata.target(), text: text.0 };
        if let Ok(writer) = WRITER.try_read()
            && let Some(writer) = &*writer
        {
            PENDING.fetch_add(1, Ordering::Relaxed);
            // A full channel means that Python does not keep up; nodes go on without it.
            if writer.lines.try_send(line).is_err() {
                PENDING.fetch_sub(1, Ordering::Relaxed);
            }
        }
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// The message of an event, followed by its fields.
#[derive(Default)]
struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing to a string cannot fail.
        let _ = match field.name() {
            "message" => write!(self.0, "{value:?}"),
            name => write!(self.0, " {name}={value:?}"),
        };
    }
}
