//! One message of each kind with fixed contents, every optional field set somewhere and absent elsewhere.

use bytes::Bytes;
use kadmap_core::ranges::{Prefix, PrefixList};
use kadmap_core::wire::{
    Body, Changed, Coming, Compare, Copied, Copies, Divide, Empty, Fetch, Fetching, FindNode, FindValue,
    Found, Get, Heard, Held, Items, KnownIds, Message, NameEntry, Names, NamesPage, Nodes, Page, Parts,
    PeerList, PeerReport, Peers, Ping, Put, PutMode, Recall, Recalled, RecordCopy, Refusal, Request,
    Response, StatusReport, Stored, Summary, Sums, Want, Watch, Watching, WireContact,
};
use kadmap_core::{Base, Codec, Contact, Item, Key, NodeId, Payload, Record, Shape, Stamp, Version};

/// Some day in 2026, in milliseconds since 1970.
const UNIX_MS: u64 = 1_790_000_000_000;

/// All samples by name.
pub(crate) fn all() -> Vec<(&'static str, Message)> {
    let requests = requests().into_iter().map(|(name, request)| (name, Body::Request(request)));
    let answers = responses().into_iter().map(|(name, response)| (name, Body::Response(response)));
    let refusals = refusals().into_iter().map(|(name, refusal)| (name, Response::Refused(refusal)));
    let refusals = refusals.map(|(name, response)| (name, Body::Response(response)));
    let bodies = requests.chain(answers).chain(refusals);
    let message = |(name, body)| {
        let (from_client, unhurried) = (name == "request_get", name == "request_put_items");
        (name, Message { id: 0x0102_0304, from_client, unhurried, body })
    };
    bodies.map(message).collect()
}

fn requests() -> Vec<(&'static str, Request)> {
    let value = Record::from(base(Some(Payload::new(Codec::Json, "\"red\"")), Shape::Value));
    let copy = |name: &str, delta| RecordCopy { key: key(), name: name.to_owned().into(), delta };
    let of_items = copy("shape", Record::from_parts(None, items()));
    let copies = Copies { records: vec![copy("colour", value.clone()), of_items] };
    let put = |mode, delta, if_newest| Put { key: key(), name: "colour".into(), mode, delta, if_newest };
    let names = |after_name| Names { from: Key::MIN, to: Key::MAX, after_name, limit: 512 };
    let half = Prefix::new(0, 1);
    let ranges = PrefixList(vec![half, Prefix::new(u128::MAX, 7)]);
    let some = [1, 1, 2, 1, 5, 5, 0, 0, 0, 0, 0, 0, 0, 9];
    let wanted: Bytes = some.into_iter().chain([0, 0]).collect();
    let trim = base(Some(Payload::new(Codec::Json, "[]")), Shape::List).into();
    let mut removal = items()[1].clone();
    removal.expires_ms = Some(UNIX_MS + 1_000);
    let page = Items {
        key: key(),
        name: "colour".into(),
        want: Want::Record,
        from: Stamp::MIN,
        to: Stamp::MAX,
        newest_first: false,
        items_max: 512,
        bytes_max: 65_536,
        with_base: true,
    };
    let summary =
        Items { want: Want::Summary, from: stamp(3), newest_first: true, with_base: false, ..page.clone() };
    let version = value.head().version;
    let watch = |lease_ms| Watch { key: key(), name: "colour".into(), lease_ms, number: 7 };
    let number = (UNIX_MS << 16) + 1;
    let changed = |delta| Changed { key: key(), name: "colour".into(), number, version, delta };
    let known = Some(KnownIds::new([NodeId::of_public_key(b"a"), NodeId::of_public_key(b"b")], 3));
    let find_node = FindNode { target: key(), count: 20, known, value: None };
    let find_value = FindValue { name: "colour".into(), want: Want::Record };
    let find_value = FindNode { target: key(), count: 20, known: None, value: Some(find_value) };
    vec![
        ("request_ping", Request::Ping(Ping { payload: "hello".into() })),
        ("request_find_node", Request::FindNode(FindNode { value: None, ..find_value.clone() })),
        ("request_find_node_known", Request::FindNode(find_node)),
        ("request_find_node_value", Request::FindNode(find_value)),
        ("request_get", Request::Get(Get { key: key(), name: "colour".into(), want: Want::Record })),
        ("request_get_summary", Request::Get(Get { key: key(), name: "colour".into(), want: Want::Summary })),
        ("request_changed", Request::Changed(changed(Some(value.clone())))),
        ("request_changed_unsaid", Request::Changed(changed(None))),
        ("request_put", Request::Put(put(PutMode::Publish, value, Some(stamp(7))))),
        ("request_watch", Request::Watch(watch(180_000))),
        ("request_watch_no_more", Request::Watch(watch(0))),
        ("request_put_items", Request::Put(put(PutMode::Replicate, Record::from_parts(None, items()), None))),
        ("request_put_tombstone", Request::Put(put(PutMode::Publish, base(None, Shape::Value).into(), None))),
        ("request_put_trim", Request::Put(put(PutMode::Trim, trim, None))),
        ("request_put_removal", Request::Put(put(PutMode::Publish, removal.into(), None))),
        ("request_items", Request::Items(page)),
        ("request_items_summary", Request::Items(summary)),
        ("request_names", Request::Names(names(None))),
        ("request_names_after", Request::Names(names(Some("colour".into())))),
        (
            "request_compare",
            Request::Compare(Compare {
                ranges: ranges.clone(),
                hash: 0x0102_0304_0506_0708,
                joins: None,
                shared: Some(true),
            }),
        ),
        (
            "request_compare_joins",
            Request::Compare(Compare { ranges: ranges.clone(), hash: 0, joins: Some(true), shared: None }),
        ),
        (
            "request_recall",
            Request::Recall(Recall {
                away_ms: 90_000_000,
                records: vec![NameEntry { key: key(), name: "colour".into() }],
            }),
        ),
        (
            "request_divide",
            Request::Divide(Divide { ranges: ranges.clone(), rotation: 47, differences: vec![1, 2].into() }),
        ),
        ("request_fetch", Request::Fetch(Fetch { ranges, rotation: 3, wanted })),
        ("request_copies", Request::Copies(copies)),
        ("request_status", Request::Status(Empty {})),
        ("request_peers", Request::Peers(Peers { after: None })),
        ("request_peers_after", Request::Peers(Peers { after: Some(node()) })),
        ("request_leave", Request::Leave(Empty {})),
        ("request_unknown", Request::Unknown(0x7f)),
    ]
}

fn responses() -> Vec<(&'static str, Response)> {
    let record = Record::from_parts(Some(base(Some(Payload::new(Codec::Json, "[1]")), Shape::List)), items());
    let version = record.head().version;
    let entry = |name: &'static str| NameEntry { key: Key::of_name(name.as_bytes()), name: name.into() };
    let reports = vec![
        PeerReport { contact: v4(), rtt_us: Some(1_500), live: true },
        PeerReport { contact: v6(), rtt_us: None, live: false },
    ];
    let status = StatusReport {
        software: "kadmap/0.1.0".into(),
        contacts: 20,
        records: 1_000,
        bytes: 1 << 32,
        requests_served: 100_000,
        puts_refused: 3,
        uptime_ms: 86_400_000,
        replication: 20,
        info: "{\"rack\": 7}".into(),
        value_bytes_max: 1_048_576,
    };
    let [first, removed, _] = items();
    let page = Page {
        record: version,
        shape: Some(Shape::List),
        base_stamp: stamp(1),
        part: Record::from_parts(record.base().cloned(), [first, removed]),
        next: Some(stamp(5)),
    };
    let held = Held { version, record: Some(record.clone()) };
    let absent = Held { version: Version::ABSENT, record: None };
    vec![
        ("response_pong", Response::Pong(Ping { payload: "hello".into() })),
        ("response_nodes", Response::Nodes(Nodes { contacts: vec![v4(), v6()], held: None })),
        ("response_nodes_held", Response::Nodes(Nodes { contacts: vec![v4()], held: Some(held.into()) })),
        ("response_nodes_absent", Response::Nodes(Nodes { contacts: Vec::new(), held: Some(absent.into()) })),
        ("response_found", Response::Found(Found { version, record })),
        ("response_page", Response::Page(page.clone())),
        ("response_page_absent", Response::Page(Page::default())),
        ("response_page_summary", Response::PageSummary(page.summary())),
        ("response_page_summary_absent", Response::PageSummary(Page::default().summary())),
        ("response_stored", Response::Stored(Stored { version, ..Stored::default() })),
        (
            "response_stored_size",
            Response::Stored(Stored { version, bytes: Some(403), bytes_max: Some(67_108_864) }),
        ),
        (
            "response_names",
            Response::Names(NamesPage {
                entries: vec![entry("colour"), entry("shape")],
                more: true,
                last: Some(entry("shape")),
            }),
        ),
        ("response_names_empty", Response::Names(NamesPage { entries: Vec::new(), more: false, last: None })),
        (
            "response_sums",
            Response::Sums(Sums {
                hashes: vec![7; 16].into(),
                member_ms: None,
                foreign: Some(vec![0x40].into()),
            }),
        ),
        (
            "response_sums_equal",
            Response::Sums(Sums { hashes: Bytes::new(), member_ms: None, foreign: None }),
        ),
        (
            "response_sums_since",
            Response::Sums(Sums { hashes: Bytes::new(), member_ms: Some(90_000_000), foreign: None }),
        ),
        ("response_recalled", Response::Recalled(Recalled { versions: vec![version, Version::ABSENT] })),
        ("response_recalled_nothing", Response::Recalled(Recalled::default())),
        ("response_parts", Response::Parts(Parts { parts: vec![1, 8, 9, 255, 1, 2, 3, 4, 5, 6].into() })),
        ("response_fetching", Response::Fetching(Fetching { records: 3, newer: vec![0b1010_0000].into() })),
        ("response_copied", Response::Copied(Copied { stored: 2 })),
        ("response_status", Response::Status(status)),
        ("response_peers", Response::Peers(PeerList { peers: reports, more: false })),
        (
            "response_watching",
            Response::Watching(Watching { version, lease_ms: 180_000, told: UNIX_MS << 16 }),
        ),
        ("response_heard", Response::Heard(Heard { interested: true })),
        ("response_left", Response::Left(Empty {})),
        ("response_summary", Response::Summary(Summary { version, bytes: 403 })),
        ("response_summary_absent", Response::Summary(Summary { version: Version::ABSENT, bytes: 0 })),
        ("response_coming", Response::Coming(Coming { bytes: 1_048_576 })),
        ("response_unsupported", Response::Unsupported(Empty {})),
        ("response_unknown", Response::Unknown(0xff)),
    ]
}

fn refusals() -> Vec<(&'static str, Refusal)> {
    vec![
        ("refused_superseded", Refusal::Superseded { newest: stamp(9) }),
        ("refused_wrong_shape", Refusal::WrongShape { wanted: Shape::List, found: Shape::Map }),
        ("refused_conflict", Refusal::Conflict { found: Record::from_parts(None, items()).head().version }),
        ("refused_too_large", Refusal::TooLarge { bytes: 2_000_000, bytes_max: 1_048_576 }),
        ("refused_clock_ahead", Refusal::ClockAhead { ahead_ms: 60_000, ahead_ms_max: 10_000 }),
        ("refused_full", Refusal::Full { bytes_max: 1 << 32 }),
        ("refused_storage_failed", Refusal::StorageFailed),
        ("refused_record_full", Refusal::RecordFull { bytes: 67_108_900, bytes_max: 67_108_864 }),
        ("refused_too_many_watches", Refusal::TooManyWatches { watches_max: 65_536 }),
        ("refused_rejected", Refusal::Rejected { reason: "not on a Sunday".into() }),
        ("refused_starting", Refusal::Starting),
    ]
}

fn key() -> Key {
    Key::of_name(b"colour")
}

fn node() -> NodeId {
    NodeId::of_public_key(b"the first node")
}

fn v4() -> WireContact {
    WireContact(Contact { id: node(), address: ([192, 0, 2, 1], 8339).into() })
}

fn v6() -> WireContact {
    let id = NodeId::of_public_key(b"the second node");
    WireContact(Contact { id, address: ([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1], 8339).into() })
}

/// A stamp of a fixed writer, some counts into a fixed millisecond.
fn stamp(count: u64) -> Stamp {
    Stamp { time: UNIX_MS << 16 | count, writer: 0x1122_3344_5566_7788 }
}

fn base(payload: Option<Payload>, shape: Shape) -> Base {
    let expires_ms = (shape == Shape::Value && payload.is_some()).then_some(UNIX_MS + 60_000);
    Base { stamp: stamp(1), shape, payload, expires_ms }
}

/// An appended item, one that was removed again, and a field.
fn items() -> [Item; 3] {
    let item = |count, field: Option<&'static str>, text: Option<&'static str>| Item {
        stamp: stamp(count),
        field: field.map(Into::into),
        payload: text.map(|text| Payload::new(Codec::Json, text)),
        expires_ms: field.map(|_| UNIX_MS + 60_000),
    };
    [item(2, None, Some("4")), item(3, None, None), item(4, Some("depth"), Some("5"))]
}
