//! Any bytes as three records: the laws of merging hold for whatever a stranger sends.
#![no_main]

use kadmap_core::{Head, OVERHEAD_BYTES, Record, base_death_ms, item_death_ms};
use kadmap_fuzz::Source;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut source = Source::new(bytes);
    let unix_ms = u64::from(source.byte()) << 30;
    let Some([a, b, c]) = three(&mut source) else { return };
    for record in [&a, &b, &c] {
        let bytes = minicbor::to_vec(record).expect("a record encodes into memory");
        assert_eq!(minicbor::decode::<Record>(&bytes).ok().as_ref(), Some(record));
    }
    let ab = merged(&a, &b);
    assert_eq!(ab, merged(&b, &a), "merging is commutative");
    assert_eq!(merged(&ab, &c), merged(&a, &merged(&b, &c)), "merging is associative");
    assert_eq!(merged(&ab, &ab), ab, "merging is idempotent");
    assert_eq!(merged(&ab, &b), ab, "a merge takes in all there is");
    assert!(a.difference(&ab).is_empty(), "who has merged lacks nothing");
    assert_eq!(merged(&b, &a.difference(&b)), ab, "the difference is enough");
    check_head(&ab);
    check_expiry(&ab, unix_ms);
});

/// Half of the time bytes as they come, half of the time records built from them.
fn three(source: &mut Source<'_>) -> Option<[Record; 3]> {
    if source.byte() % 2 == 0 {
        return Some([source.record(), source.record(), source.record()]);
    }
    let mut next = |length: usize| minicbor::decode::<Record>(source.take(length)).ok();
    let record = next(usize::MAX)?;
    let (base, items) = record.clone().into_parts();
    // What one frame held in one piece is also what two replicas hold in parts.
    let (odd, even): (Vec<_>, Vec<_>) = items.partition(|item| item.stamp.time % 2 == 1);
    Some([Record::from_parts(base, even), Record::from_parts(None, odd), record])
}

fn merged(a: &Record, b: &Record) -> Record {
    let mut record = a.clone();
    let changed = record.merge(b.clone());
    assert_eq!(changed, record != *a, "a merge tells whether it changed anything");
    record
}

fn check_head(record: &Record) {
    let head = record.head();
    let mut built = Head::default();
    record.items().for_each(|item| built.item_added(item));
    built.base_changed(None, record.base());
    assert_eq!(head, built, "the order in which a head is built does not matter");
    assert_eq!(head.version.is_absent(), record.is_empty());
    assert_eq!(head.appended + head.fields, record.items().len() as u64);
    let parts = record.items().len() + usize::from(record.base().is_some());
    let payloads =
        record.base().map_or(0, |base| base.bytes()) + record.items().map(|item| item.bytes()).sum::<usize>();
    assert_eq!(head.bytes, (payloads + parts * OVERHEAD_BYTES) as u64);
    assert!(record.items().all(|item| item.stamp > head.base_stamp || record.base().is_none()));
}

fn check_expiry(record: &Record, unix_ms: u64) {
    let mut left = record.clone();
    let due = record.next_expiry_ms(0).is_some_and(|at| at <= unix_ms);
    assert_eq!(left.expire(unix_ms, 0), due, "something expires exactly when it is due");
    let alive = |death: Option<u64>| death.is_none_or(|at| at > unix_ms);
    assert!(
        alive(left.base().and_then(base_death_ms)) && left.items().all(|item| alive(item_death_ms(item)))
    );
    assert_eq!(left.is_live(unix_ms), record.is_live(unix_ms), "what can be read does not expire");
}
