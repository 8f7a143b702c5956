//! Every store does what a plain map of records does, whatever the operations and wherever the writes are.

use std::collections::BTreeMap;
use std::time::Duration;

use kadmap_core::{
    Base, Codec, Head, Item, ItemId, ItemRange, Key, Payload, Record, RecordId, RecordStore, Shape, Stamp,
    Usage,
};
use kadmap_store::{AnyStore, Durability, MemoryStore, RedbStore, StoreConfig};
use proptest::prelude::*;
use tempfile::TempDir;

const GRACE_MS: u64 = 5;
const IDS: usize = 5;

#[derive(Debug, Clone)]
enum Operation {
    Merge(usize, Record),
    Forget(usize),
    Replace(usize, Record),
    Expire { unix_ms: u64, limit: usize },
    Heads { after: Option<usize>, limit: usize },
    Items(usize, ItemRange),
    Reopen,
}

/// Two of the records share their place.
fn id(number: usize) -> RecordId {
    let place = [0u8, 0, 1, 255, 255][number % IDS];
    RecordId::new(Key::from_bytes([place; 32]), ["a", "", "b", "abc", "ab"][number % IDS])
}

fn any_payload() -> impl Strategy<Value = Option<Payload>> {
    let bytes = prop::collection::vec(any::<u8>(), 0..4);
    prop::option::weighted(0.8, bytes.prop_map(|bytes| Payload::new(Codec::Bytes, bytes)))
}

/// Few distinct stamps, so that bases hide items and fields collide often; the lowest of all is among them.
fn any_stamp() -> impl Strategy<Value = Stamp> {
    (0u64..12, 0u64..3).prop_map(|(ms, writer)| Stamp { time: ms << 16, writer })
}

fn any_expiry() -> impl Strategy<Value = Option<u64>> {
    prop::option::weighted(0.4, 0u64..20)
}

fn any_base() -> impl Strategy<Value = Base> {
    let shape = prop_oneof![Just(Shape::Value), Just(Shape::List), Just(Shape::Map)];
    (any_stamp(), shape, any_payload(), any_expiry()).prop_map(|(stamp, shape, payload, expires_ms)| Base {
        stamp,
        shape,
        payload,
        expires_ms,
    })
}

fn any_item() -> impl Strategy<Value = Item> {
    let field = prop::option::of(prop_oneof![Just("".into()), Just("a".into()), Just("b".into())]);
    (any_stamp(), field, any_payload(), any_expiry()).prop_map(|(stamp, field, payload, expires_ms)| Item {
        stamp,
        field,
        payload,
        expires_ms,
    })
}

fn any_record() -> impl Strategy<Value = Record> {
    (prop::option::weighted(0.4, any_base()), prop::collection::vec(any_item(), 0..5))
        .prop_map(|(base, items)| Record::from_parts(base, items))
}

/// A range of any kind, most often one that cuts a list somewhere, by number or by bytes.
fn any_range() -> impl Strategy<Value = ItemRange> {
    let from = prop_oneof![Just(Stamp::MIN), any_stamp()];
    let to = prop_oneof![Just(Stamp::MAX), any_stamp()];
    (from, to, any::<bool>(), 1usize..6, prop_oneof![Just(1usize << 20), 0usize..600]).prop_map(
        |(from, to, newest_first, items_max, bytes_max)| ItemRange {
            from,
            to,
            newest_first,
            items_max,
            bytes_max,
        },
    )
}

fn any_operation() -> impl Strategy<Value = Operation> {
    prop_oneof![
        12 => (0..IDS, any_record()).prop_map(|(id, delta)| Operation::Merge(id, delta)),
        1 => (0..IDS).prop_map(Operation::Forget),
        2 => (0..IDS, any_record()).prop_map(|(id, record)| Operation::Replace(id, record)),
        2 => (0u64..30, prop_oneof![1usize..3, Just(usize::MAX)])
            .prop_map(|(unix_ms, limit)| Operation::Expire { unix_ms, limit }),
        2 => (prop::option::of(0..IDS), 0usize..6)
            .prop_map(|(after, limit)| Operation::Heads { after, limit }),
        6 => (0..IDS, any_range()).prop_map(|(id, range)| Operation::Items(id, range)),
        1 => Just(Operation::Reopen),
    ]
}

fn any_operations() -> impl Strategy<Value = Vec<Operation>> {
    prop::collection::vec(any_operation(), 1..40)
}

/// A store and how to open it again.
struct Subject {
    store: Option<AnyStore>,
    folder: Option<(TempDir, StoreConfig)>,
}

impl Subject {
    fn memory() -> Self {
        let config = StoreConfig { tombstone_grace_ms: GRACE_MS, ..StoreConfig::default() };
        Self { store: Some(MemoryStore::new(config).into()), folder: None }
    }

    fn redb(config: StoreConfig) -> Self {
        let config = StoreConfig { tombstone_grace_ms: GRACE_MS, ..config };
        let mut subject = Self { store: None, folder: Some((tempfile::tempdir().unwrap(), config)) };
        subject.reopen();
        subject
    }

    fn reopen(&mut self) {
        let Some((folder, config)) = &self.folder else { return };
        if let Some(AnyStore::Redb(store)) = self.store.take() {
            store.close().unwrap();
        }
        let opened = RedbStore::open(folder.path(), config.clone(), Box::new(|| ())).unwrap();
        assert_eq!(opened.set_aside, None);
        self.store = Some(opened.store.into());
    }

    fn store(&mut self) -> &mut AnyStore {
        self.store.as_mut().unwrap()
    }
}

type Model = BTreeMap<RecordId, Record>;

/// The highest stamp never goes back, so a store's may be above that of what is left in the record.
fn same(stored: Head, record: &Record) -> bool {
    let head = record.head();
    stored.newest >= head.newest && Head { newest: head.newest, ..stored } == head
}

fn run(mut subject: Subject, operations: Vec<Operation>) -> Result<(), TestCaseError> {
    let mut model = Model::new();
    for operation in operations {
        step(&mut subject, &mut model, operation)?;
        check(subject.store(), &model)?;
    }
    subject.reopen();
    check(subject.store(), &model)
}

fn step(subject: &mut Subject, model: &mut Model, operation: Operation) -> Result<(), TestCaseError> {
    let store = subject.store();
    match operation {
        Operation::Merge(number, delta) => {
            let merged = store.merge(&id(number), delta.clone()).unwrap();
            let record = model.entry(id(number)).or_default();
            prop_assert_eq!(merged.changed, record.merge(delta));
            prop_assert!(same(merged.head, record));
        }
        Operation::Replace(number, record) => {
            store.replace(&id(number), record.clone()).unwrap();
            match record.is_empty() {
                true => model.remove(&id(number)),
                false => model.insert(id(number), record),
            };
        }
        Operation::Forget(number) => {
            store.forget(&id(number)).unwrap();
            model.remove(&id(number));
        }
        Operation::Expire { unix_ms, limit: usize::MAX } => {
            let touched = store.expire(unix_ms, usize::MAX).unwrap();
            let expected =
                model.values_mut().filter_map(|record| record.expire(unix_ms, GRACE_MS).then_some(()));
            prop_assert_eq!(touched.len(), expected.count());
        }
        Operation::Expire { unix_ms, limit } => {
            loop {
                let touched = store.expire(unix_ms, limit).unwrap();
                prop_assert!(touched.len() <= limit);
                if touched.is_empty() {
                    break;
                }
            }
            for record in model.values_mut() {
                record.expire(unix_ms, GRACE_MS);
            }
        }
        Operation::Heads { after, limit } => {
            let after = after.map(id);
            let heads = store.heads(after.as_ref(), limit).unwrap();
            let expected = model.iter().filter(|(id, _)| after.as_ref().is_none_or(|after| *id > after));
            let expected: Vec<_> = expected.take(limit).collect();
            prop_assert_eq!(heads.len(), expected.len());
            for ((found, head), (id, record)) in heads.iter().zip(expected) {
                prop_assert!(found == id && same(*head, record));
            }
        }
        Operation::Items(number, range) => {
            let page = store.items(&id(number), &range).unwrap();
            let record = model.get(&id(number));
            prop_assert_eq!(page, record.map(|record| record.items_in(&range)).unwrap_or_default());
        }
        Operation::Reopen => subject.reopen(),
    }
    model.retain(|_, record| !record.is_empty());
    Ok(())
}

fn check(store: &mut AnyStore, model: &Model) -> Result<(), TestCaseError> {
    let mut usage = Usage::default();
    for number in 0..IDS {
        let id = id(number);
        let (head, record) = (store.head(&id).unwrap(), model.get(&id));
        prop_assert_eq!(head.is_some(), record.is_some());
        prop_assert_eq!(store.load(&id).unwrap(), record.cloned());
        prop_assert_eq!(store.base(&id).unwrap(), record.and_then(Record::base).cloned());
        let (Some(head), Some(record)) = (head, record) else { continue };
        prop_assert!(same(head, record), "{:?} is not {:?}", head, record.head());
        usage.records += 1;
        usage.bytes += head.bytes + id.name.len() as u64;
        for field in ["", "a", "b"] {
            let item = ItemId::Field(field.into());
            prop_assert_eq!(store.item_stamp(&id, &item).unwrap(), record.item(&item).map(|item| item.stamp));
        }
        for item in record.items() {
            prop_assert_eq!(store.item_stamp(&id, &item.id()).unwrap(), Some(item.stamp));
        }
    }
    prop_assert_eq!(store.usage(), usage);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn memory_does_what_a_map_of_records_does(operations in any_operations()) {
        run(Subject::memory(), operations)?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn redb_does_what_a_map_of_records_does_while_writes_wait(operations in any_operations()) {
        let flush_interval = Duration::from_secs(3_600);
        run(Subject::redb(StoreConfig { flush_interval, ..StoreConfig::default() }), operations)?;
    }

    #[test]
    fn redb_does_what_a_map_of_records_does_while_writes_flush(operations in any_operations()) {
        let durability = Durability::Synced;
        run(Subject::redb(StoreConfig { durability, ..StoreConfig::default() }), operations)?;
    }

    #[test]
    fn redb_does_what_a_map_of_records_does_with_no_memory_to_spare(operations in any_operations()) {
        let config = StoreConfig {
            durability: Durability::Synced,
            unflushed_bytes_max: 1,
            page_cache_bytes: 0,
            heads_cached_max: 0,
            ..StoreConfig::default()
        };
        run(Subject::redb(config), operations)?;
    }
}
