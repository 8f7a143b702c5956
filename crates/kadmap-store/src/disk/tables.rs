//! The tables of the file, and how a layer is written into them.

use redb::{Database, ReadableTableMetadata, TableDefinition, WriteTransaction};

use super::codec::{HeadRow, Table, death_key, head_key, part_key, seal};
use super::layer::{Layer, Stray};
use crate::part::Part;

pub(crate) type Bytewise = TableDefinition<'static, &'static [u8], &'static [u8]>;

pub(crate) const HEADS: Bytewise = TableDefinition::new("heads");
pub(crate) const PARTS: Bytewise = TableDefinition::new("parts");
pub(crate) const DEATHS: Bytewise = TableDefinition::new("deaths");
pub(crate) const META: Bytewise = TableDefinition::new("meta");
/// Rows that did not match their checksum: for a look, never read by the store.
pub(crate) const QUARANTINE: Bytewise = TableDefinition::new("quarantine");

pub(crate) const FORMAT_KEY: &[u8] = b"format";
pub(crate) const USAGE_KEY: &[u8] = b"usage";
pub(crate) const PRESENCE_KEY: &[u8] = b"presence";
/// The layout described in `codec`.
pub(crate) const FORMAT: u32 = 1;
/// Rows kept in quarantine: enough to see what happened to a disk, too few to fill one.
pub(crate) const QUARANTINE_ROWS_MAX: u64 = 1_024;

/// Makes the tables of a new file.
pub(crate) fn lay_out(database: &Database) -> Result<(), redb::Error> {
    let mut txn = database.begin_write()?;
    txn.set_two_phase_commit(true);
    for table in [HEADS, PARTS, DEATHS, QUARANTINE] {
        txn.open_table(table)?;
    }
    let mut rows = Rows::new(&txn, META, Table::Meta)?;
    rows.put(FORMAT_KEY, Some(&FORMAT))?;
    rows.put(USAGE_KEY, Some(&(0u64, 0u64)))?;
    drop(rows);
    Ok(txn.commit()?)
}

/// How much a flush wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Written {
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
}

/// One table being written.
struct Rows<'txn> {
    table: redb::Table<'txn, &'static [u8], &'static [u8]>,
    tag: Table,
    row: Vec<u8>,
    written: Written,
}

impl<'txn> Rows<'txn> {
    fn new(txn: &'txn WriteTransaction, table: Bytewise, tag: Table) -> Result<Self, redb::Error> {
        Ok(Self { table: txn.open_table(table)?, tag, row: Vec::new(), written: Written::default() })
    }

    fn put<T: minicbor::Encode<()>>(&mut self, key: &[u8], content: Option<&T>) -> Result<(), redb::Error> {
        seal(self.tag, key, content, &mut self.row);
        self.table.insert(key, self.row.as_slice())?;
        self.written.rows += 1;
        self.written.bytes += (key.len() + self.row.len()) as u64;
        Ok(())
    }

    fn put_or_remove<T: minicbor::Encode<()>>(
        &mut self,
        key: &[u8],
        content: Option<&T>,
    ) -> Result<(), redb::Error> {
        match content {
            Some(content) => self.put(key, Some(content)),
            None => self.remove(key),
        }
    }

    fn remove(&mut self, key: &[u8]) -> Result<(), redb::Error> {
        self.table.remove(key)?;
        Ok(())
    }
}

pub(crate) fn write_layer(txn: &WriteTransaction, layer: &Layer) -> Result<Written, redb::Error> {
    let mut heads = Rows::new(txn, HEADS, Table::Heads)?;
    let mut parts = Rows::new(txn, PARTS, Table::Parts)?;
    let mut deaths = Rows::new(txn, DEATHS, Table::Deaths)?;
    let mut meta = Rows::new(txn, META, Table::Meta)?;
    if !layer.strays.is_empty() {
        let mut quarantine = txn.open_table(QUARANTINE)?;
        for stray in &layer.strays {
            keep_stray(&mut quarantine, stray)?;
            match stray.table {
                Table::Heads => heads.remove(&stray.key)?,
                Table::Parts => parts.remove(&stray.key)?,
                Table::Deaths => deaths.remove(&stray.key)?,
                Table::Meta => meta.remove(&stray.key)?,
            }
        }
    }
    for (id, pending) in &layer.records {
        heads.put_or_remove(&head_key(id), pending.entry.map(HeadRow::from).as_ref())?;
        if let Some(base) = &pending.base {
            parts.put_or_remove(&part_key(id, &Part::Base), base.as_ref())?;
        }
        for (item_id, item) in &pending.items {
            parts.put_or_remove(&part_key(id, &Part::Item(item_id.clone())), item.as_ref())?;
        }
    }
    for (death, stands) in &layer.deaths {
        match stands {
            true => deaths.put::<()>(&death_key(death), None)?,
            false => deaths.remove(&death_key(death))?,
        }
    }
    meta.put(USAGE_KEY, Some(&(layer.usage.records, layer.usage.bytes)))?;
    if let Some(presence) = layer.presence {
        meta.put(PRESENCE_KEY, Some(&(presence.member_ms, presence.until_ms)))?;
    }
    let all = [heads.written, parts.written, deaths.written, meta.written];
    Ok(all.iter().fold(Written::default(), |sum, one| Written {
        rows: sum.rows + one.rows,
        bytes: sum.bytes + one.bytes,
    }))
}

fn keep_stray(
    quarantine: &mut redb::Table<'_, &'static [u8], &'static [u8]>,
    stray: &Stray,
) -> Result<(), redb::Error> {
    if let Some(row) = &stray.keep
        && quarantine.len()? < QUARANTINE_ROWS_MAX
    {
        let key = [&[stray.table as u8], stray.key.as_slice()].concat();
        quarantine.insert(key.as_slice(), row.as_slice())?;
    }
    Ok(())
}
