//! The task that runs a node: one loop that owns the socket, the connections, the state machine and the store.
//!
//! Data flows one way: bytes from the transport, messages to the core, records to the store, and out again.

mod clock;
mod command;
mod contacts_file;
mod driver;
mod join;
mod later_joins;
mod news;
mod scrub;
mod storage_word;
mod waiters;

pub(crate) use command::{Answer, Command, ScanPage};
pub(crate) use contacts_file::ContactsFile;
pub(crate) use driver::{Driver, Parts};
pub(crate) use join::JoinPlan;
pub(crate) use news::{NewsReceiver, queue as news_queue};
