//! What one holder asks another to send, range by range.

use super::rival::{RIVAL_BYTES, Rival};
use super::session::SHORT_BYTES;

/// What is wanted of one range.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Wish {
    /// Short hashes of the records; none for all of the range. At most 255.
    pub(super) hashes: Vec<u16>,
    /// Plain values that the asking node holds and the other does not; at most 255.
    pub(super) rivals: Vec<Rival>,
}

impl Wish {
    /// The wish in bytes. What exceeds the limits is left for the next comparison.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let hashes = self.hashes.iter().take(u8::MAX.into());
        out.push(hashes.len() as u8);
        out.extend(hashes.flat_map(|hash| hash.to_be_bytes()));
        let rivals = self.rivals.iter().take(u8::MAX.into());
        out.push(rivals.len() as u8);
        rivals.for_each(|rival| rival.write(out));
    }

    /// The first wish in some bytes, which are cut; `None` when there is none.
    pub(super) fn read(bytes: &mut &[u8]) -> Option<Self> {
        let hashes = read_list::<SHORT_BYTES, _>(bytes, u16::from_be_bytes)?;
        let rivals = read_list::<RIVAL_BYTES, _>(bytes, Rival::read)?;
        Some(Self { hashes, rivals })
    }
}

fn read_list<const N: usize, T>(bytes: &mut &[u8], read: impl Fn([u8; N]) -> T) -> Option<Vec<T>> {
    let (&count, rest) = bytes.split_first()?;
    let (list, rest) = rest.split_at_checked(usize::from(count) * N)?;
    *bytes = rest;
    Some(list.as_chunks().0.iter().copied().map(read).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn wishes_come_back_as_they_were(
            wishes in prop::collection::vec((prop::collection::vec(any::<u16>(), 0..9), prop::collection::vec(any::<[u8; RIVAL_BYTES]>(), 0..9)), 0..9),
        ) {
            let wish = |(hashes, rivals): (Vec<u16>, Vec<[u8; RIVAL_BYTES]>)| Wish {
                hashes,
                rivals: rivals.into_iter().map(Rival::read).collect(),
            };
            let wishes: Vec<_> = wishes.into_iter().map(wish).collect();
            let mut bytes = Vec::new();
            wishes.iter().for_each(|wish| wish.write(&mut bytes));
            let mut rest = &bytes[..];
            let read: Vec<_> = std::iter::from_fn(|| Wish::read(&mut rest)).collect();
            prop_assert_eq!(read, wishes);
        }

        #[test]
        fn any_bytes_are_wishes_or_none(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let mut rest = &bytes[..];
            let wishes = std::iter::from_fn(|| Wish::read(&mut rest)).count();
            prop_assert!(wishes <= bytes.len());
        }
    }
}
