//! The contacts a node knew when it last ran, so that it finds its swarm again without being told an address.

use std::io;
use std::path::{Path, PathBuf};

use kadmap_core::Contact;
use tracing::warn;

const FILE_NAME: &str = "contacts";
/// Contacts written at most: RELIABILITY asks for at least 64, a full bucket of the far half is 128.
const CONTACTS_MAX: usize = 128;

/// One `id address` pair a line, in a file that is replaced as a whole.
#[derive(Debug)]
pub(crate) struct ContactsFile {
    path: PathBuf,
    written: Vec<Contact>,
}

impl ContactsFile {
    pub(crate) fn in_folder(folder: &Path) -> Self {
        Self { path: folder.join(FILE_NAME), written: Vec::new() }
    }

    /// The contacts written last. A file that is not there, or not readable, knows nobody: joining by address goes
    /// on working, so it is a warning and not an error.
    pub(crate) fn load(&self) -> Vec<Contact> {
        let text = match std::fs::read_to_string(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Vec::new(),
            Err(error) => {
                warn!("cannot read known contacts from {}: {error}", self.path.display());
                return Vec::new();
            }
        };
        text.lines().filter_map(parse_line).take(CONTACTS_MAX).collect()
    }

    /// Writes the contacts if they have changed; a disk that refuses is a warning.
    pub(crate) fn save(&mut self, mut contacts: Vec<Contact>) {
        contacts.sort_unstable();
        contacts.truncate(CONTACTS_MAX);
        if contacts.is_empty() || contacts == self.written {
            return;
        }
        match self.replace(&contacts) {
            Ok(()) => self.written = contacts,
            Err(error) => warn!("cannot write known contacts to {}: {error}", self.path.display()),
        }
    }

    fn replace(&self, contacts: &[Contact]) -> io::Result<()> {
        let text: String =
            contacts.iter().map(|contact| format!("{} {}\n", contact.id, contact.address)).collect();
        let fresh = self.path.with_extension("new");
        std::fs::write(&fresh, text)?;
        std::fs::rename(&fresh, &self.path)
    }
}

fn parse_line(line: &str) -> Option<Contact> {
    let (id, address) = line.split_once(' ')?;
    Some(Contact { id: id.parse().ok()?, address: address.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use kadmap_core::NodeId;

    #[test]
    fn contacts_are_read_back_and_damage_is_skipped() {
        let folder = tempfile::tempdir().unwrap();
        let mut file = ContactsFile::in_folder(folder.path());
        assert_eq!(file.load(), []);
        let contact = |name: &[u8], address: &str| Contact {
            id: NodeId::of_public_key(name),
            address: address.parse().unwrap(),
        };
        let mut contacts = vec![contact(b"a", "127.0.0.1:1"), contact(b"b", "[::1]:2")];
        file.save(contacts.clone());
        contacts.sort_unstable();
        assert_eq!(file.load(), contacts);
        let path = folder.path().join(FILE_NAME);
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, format!("nonsense\n{text}\u{0}\n")).unwrap();
        assert_eq!(file.load(), contacts);
    }
}
