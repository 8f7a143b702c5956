//! Opening a data folder: its lock, its file, and what to do with a file that is not well.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use kadmap_core::Usage;
use thiserror::Error;

use super::backend::Opener;
use super::fault::Fault;
use super::file::{DiskFile, Mode};
use super::tables::FORMAT;

const FILE_NAME: &str = "records.redb";
const NEW_SUFFIX: &str = ".new";
/// Beside the file after damage was seen in it: the next start reads all of it before trusting it.
const CHECK_SUFFIX: &str = ".check";
const LOCK_NAME: &str = "records.lock";

/// Why a data folder cannot be used; nothing in it was changed, except that a damaged file may be set aside.
///
/// ```
/// use kadmap_store::{OpenError, RedbStore, StoreConfig};
/// let file = tempfile::NamedTempFile::new().unwrap();
/// let error = RedbStore::open(file.path(), StoreConfig::default(), Box::new(|| ())).unwrap_err();
/// assert!(matches!(error, OpenError::Folder { .. }));
/// ```
#[derive(Debug, Error)]
pub enum OpenError {
    /// Another process, or another node of this one, uses the folder.
    #[error(
        "the data folder '{}' is in use by another process: stop it or choose another --data folder",
        path.display()
    )]
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// The folder cannot be made, read or written.
    #[error(
        "cannot use the data folder '{}': {source}; make it a folder that this user may write to, or choose \
         another with --data",
        path.display()
    )]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// A later version of the program wrote the file.
    #[error(
        "'{}' has format {found}, and this version reads up to {supported}: use a newer version of kadmap, or \
         choose another --data folder",
        path.display()
    )]
    NewerFormat {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The newest that can be read.
        supported: u32,
    },
    /// The disk refused; the file is as it was.
    #[error("cannot open '{}': {reason}; free or repair the disk and start again", path.display())]
    Disk {
        /// The file.
        path: PathBuf,
        /// What the operating system or the storage library said.
        reason: String,
    },
}

/// What opening a folder gave.
#[derive(Debug)]
pub(crate) struct OpenFolder {
    pub(crate) file: DiskFile,
    pub(crate) usage: Usage,
    pub(crate) set_aside: Option<PathBuf>,
    /// Held as long as the folder is in use.
    pub(crate) lock: File,
}

/// Opens the folder and its file, and makes both if they are not there.
pub(crate) fn open_folder(
    folder: &Path,
    page_cache_bytes: usize,
    opener: impl Fn() -> Opener,
) -> Result<OpenFolder, OpenError> {
    let unusable = |source| OpenError::Folder { path: folder.to_owned(), source };
    make_folder(folder).map_err(unusable)?;
    let lock = lock_folder(folder)?;
    let path = folder.join(FILE_NAME);
    let mut set_aside = None;
    match fs::metadata(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(unusable(error)),
        Ok(found) => {
            let opened = match found.len() {
                // A new file gets its name only once it has content.
                0 => Err(Fault::Damaged("the file is empty".into())),
                _ => open_existing(&path, page_cache_bytes, opener()),
            };
            match opened {
                Ok((file, usage, FORMAT)) => {
                    let _ = fs::remove_file(with_suffix(&path, CHECK_SUFFIX));
                    return Ok(OpenFolder { file, usage, set_aside, lock });
                }
                Ok((_, _, found)) => {
                    return Err(OpenError::NewerFormat { path, found, supported: FORMAT });
                }
                Err(Fault::InUse) => return Err(OpenError::InUse { path: folder.to_owned() }),
                Err(Fault::Io { reason, .. }) => return Err(OpenError::Disk { path, reason }),
                Err(Fault::Damaged(reason)) => {
                    let aside = move_aside(&path).map_err(unusable)?;
                    tracing::error!(reason, aside = %aside.display(), "the records are damaged: set aside");
                    set_aside = Some(aside);
                }
            }
        }
    }
    let _ = fs::remove_file(with_suffix(&path, CHECK_SUFFIX));
    let refused = |fault: Fault| OpenError::Disk { path: path.clone(), reason: fault.reason().to_owned() };
    let new = with_suffix(&path, NEW_SUFFIX);
    // One that a crash left half made.
    let _ = fs::remove_file(&new);
    DiskFile::open(&new, page_cache_bytes, opener(), Mode::Create)
        .and_then(|file| file.close())
        .map_err(refused)?;
    fs::rename(&new, &path).and_then(|()| sync_folder(folder)).map_err(unusable)?;
    let file = DiskFile::open(&path, page_cache_bytes, opener(), Mode::Trust).map_err(refused)?;
    Ok(OpenFolder { file, usage: Usage::default(), set_aside, lock })
}

fn open_existing(
    path: &Path,
    page_cache_bytes: usize,
    opener: Opener,
) -> Result<(DiskFile, Usage, u32), Fault> {
    let mode = if with_suffix(path, CHECK_SUFFIX).exists() { Mode::Check } else { Mode::Trust };
    let file = DiskFile::open(path, page_cache_bytes, opener, mode)?;
    let read = file.format().and_then(|format| match format {
        None | Some(0) => Err(Fault::Damaged("the file does not say which format it has".into())),
        Some(FORMAT) => Ok((file.usage()?, FORMAT)),
        Some(other) => Ok((Usage::default(), other)),
    });
    match read {
        Ok((usage, format)) => Ok((file, usage, format)),
        Err(fault) => {
            // Damage is what is reported, whatever closing says about it.
            let _ = file.close();
            Err(fault)
        }
    }
}

fn make_folder(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

fn lock_folder(folder: &Path) -> Result<File, OpenError> {
    let unusable = |source| OpenError::Folder { path: folder.to_owned(), source };
    let options = OpenOptions::new().create(true).truncate(false).write(true).open(folder.join(LOCK_NAME));
    let lock = options.map_err(unusable)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse { path: folder.to_owned() }),
        // Some network file systems have no locks; one node to a folder is then up to the operator.
        Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => Ok(lock),
        Err(TryLockError::Error(error)) => Err(unusable(error)),
    }
}

/// Renames a damaged file so that a fresh one can take its place.
fn move_aside(path: &Path) -> io::Result<PathBuf> {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let name = with_suffix(path, &format!(".damaged-{seconds}"));
    let mut aside = name.clone();
    let mut tries = 1;
    while aside.exists() {
        tries += 1;
        aside = with_suffix(&name, &format!("-{tries}"));
    }
    fs::rename(path, &aside)?;
    Ok(aside)
}

/// Leaves word for the next start to read all of the file before trusting it.
pub(crate) fn mark_for_check(path: &Path) {
    if let Err(error) = fs::write(with_suffix(path, CHECK_SUFFIX), []) {
        tracing::error!(%error, "cannot leave word that the records are to be checked");
    }
}

/// Makes a rename durable.
fn sync_folder(folder: &Path) -> io::Result<()> {
    // Only Unix lets a folder be opened and synced.
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
