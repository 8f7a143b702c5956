//! Which programs a run starts.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::error::ChaosError;

/// The hidden word by which this binary is the command line `kadmap`.
pub(crate) const KADMAP: &str = "--kadmap-verb";

/// Which programs a run starts: the nodes, and the warden that ends them.
///
/// ```
/// let launch = kadmap_chaos::Launch::own().unwrap();
/// assert_eq!(launch.kadmap[0], launch.own_program);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Launch {
    /// The program that is a node, and what comes before `run`.
    pub kadmap: Vec<OsString>,
    /// The binary `kadmap-chaos`.
    pub own_program: PathBuf,
}

impl Launch {
    /// This binary for both: it has the whole command line in it.
    ///
    /// # Errors
    /// [`ChaosError::System`] where the system does not tell which binary runs.
    pub fn own() -> Result<Self, ChaosError> {
        let own_program = std::env::current_exe().map_err(ChaosError::system("find this program"))?;
        Ok(Self { kadmap: vec![own_program.clone().into(), KADMAP.into()], own_program })
    }

    /// Another binary for the nodes.
    #[must_use]
    pub fn with_kadmap(mut self, program: impl Into<OsString>) -> Self {
        self.kadmap = vec![program.into()];
        self
    }
}
