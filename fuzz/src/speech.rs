//! Messages drawn from a fuzzer's bytes: well formed, not well meant.

use kadmap_core::ranges::{Prefix, PrefixList};
use kadmap_core::wire::{
    Changed, Coming, Compare, Copied, Copies, Divide, Empty, Fetch, Fetching, FindNode, FindValue, Found,
    Get, Heard, Held, Items, KnownIds, NameEntry, Names, NamesPage, Nodes, Page, Parts, PeerList, PeerReport,
    Peers, Ping, Put, PutMode, Recall, Recalled, RecordCopy, Refusal, Request, Response, StatusReport,
    Stored, Summary, Sums, Want, Watch, Watching, WireContact,
};
use kadmap_core::{Contact, Record, Shape, Stamp, Version};

use crate::Source;

fn find_value(source: &mut Source<'_>) -> FindValue {
    FindValue { name: source.name(), want: source.one_of([Want::Record, Want::Summary]) }
}

fn held(source: &mut Source<'_>) -> Held {
    let (version, record) = record_and_version(source);
    Held { version, record: (source.byte() % 2 == 0).then_some(record) }
}

/// Mostly a record with its own version.
fn record_and_version(source: &mut Source<'_>) -> (Version, Record) {
    let record = source.record();
    let is_honest = source.byte() % 4 != 0;
    (if is_honest { record.head().version } else { version(source) }, record)
}

/// What a peer may ask.
pub(crate) fn request(source: &mut Source<'_>, contacts: &[Contact]) -> Request {
    match source.below(18) {
        0 => Request::Ping(Ping { payload: source.name() }),
        1 => {
            let known = (source.byte() % 2 == 0)
                .then(|| KnownIds::new(contacts.iter().map(|contact| contact.id), source.byte().into()));
            let value = (source.byte() % 2 == 0).then(|| find_value(source));
            Request::FindNode(FindNode { target: source.key(), count: source.byte().into(), known, value })
        }
        2 => {
            let want = source.one_of([Want::Record, Want::Summary]);
            Request::Get(Get { key: source.key(), name: source.name(), want })
        }
        3 | 4 => Request::Put(put(source)),
        5 => {
            let after_name = if source.byte() % 2 == 0 { None } else { Some(source.name()) };
            let (from, to) = (source.key(), source.key());
            Request::Names(Names { from, to, after_name, limit: source.byte().into() })
        }
        6 => Request::Status(Empty {}),
        7 => {
            let after = if source.byte() % 2 == 0 { None } else { Some(contact(source, contacts).0.id) };
            Request::Peers(Peers { after })
        }
        8 => Request::Leave(Empty {}),
        9 => {
            let ranges = ranges(source);
            let joins = (source.byte() % 2 == 0).then_some(true);
            let shared = (source.byte() % 2 == 0).then_some(true);
            Request::Compare(Compare { ranges, hash: size(source), joins, shared })
        }
        10 => Request::Items(items(source)),
        11 => {
            let (key, name, number) = (source.key(), source.name(), source.byte().into());
            Request::Watch(Watch { key, name, lease_ms: size(source), number })
        }
        12 => {
            let delta = if source.byte() % 4 == 0 { None } else { Some(source.record()) };
            let (key, name, version) = (source.key(), source.name(), version(source));
            Request::Changed(Changed { key, name, number: told(source), version, delta })
        }
        13 => {
            let (ranges, rotation) = (ranges(source), source.byte());
            Request::Divide(Divide { ranges, rotation, differences: source.name() })
        }
        14 => {
            let (ranges, rotation) = (ranges(source), source.byte());
            Request::Fetch(Fetch { ranges, rotation, wanted: source.name() })
        }
        15 => {
            let records = many(source, name_entry);
            Request::Recall(Recall { away_ms: size(source), records })
        }
        16 => {
            let copy = |source: &mut Source<'_>| RecordCopy {
                key: source.key(),
                name: source.name(),
                delta: source.record(),
            };
            Request::Copies(Copies { records: many(source, copy) })
        }
        _ => Request::Unknown(source.byte() % 0x40 + 0x40),
    }
}

/// What a peer may answer, fitting or not.
pub(crate) fn response(source: &mut Source<'_>, asked: &Request, contacts: &[Contact]) -> Response {
    // Mostly of the kind that was asked for: the others are dropped early.
    let fitting = match asked {
        Request::Ping(_) => 0,
        Request::FindNode(_) => 1,
        Request::Get(_) => 2,
        Request::Put(_) => 4,
        Request::Names(_) => 6,
        Request::Status(_) => 7,
        Request::Peers(_) => 8,
        Request::Leave(_) => 9,
        Request::Unknown(_) => 11,
        Request::Compare(_) => 13,
        Request::Items(_) => 14,
        Request::Watch(_) => 16,
        Request::Changed(_) => 17,
        Request::Divide(_) => 18,
        Request::Fetch(_) => 19,
        Request::Recall(_) => 20,
        Request::Copies(_) => 21,
    };
    let kind = match source.below(8) {
        0 => source.below(22),
        1 if fitting == 2 || fitting == 4 || fitting == 14 => fitting + 1,
        2 if fitting == 2 || fitting == 14 => 10,
        _ => fitting,
    };
    match kind {
        0 => Response::Pong(Ping { payload: source.name() }),
        1 => {
            let contacts = many(source, |source| contact(source, contacts));
            Response::Nodes(Nodes { contacts, held: (source.byte() % 4 != 0).then(|| held(source).into()) })
        }
        2 => {
            let (version, record) = record_and_version(source);
            Response::Found(Found { version, record })
        }
        3 => Response::Summary(Summary { version: version(source), bytes: source.short().into() }),
        4 => {
            let (version, bytes, bytes_max) = (version(source), Some(size(source)), Some(size(source)));
            Response::Stored(Stored { version, bytes, bytes_max })
        }
        5 => Response::Refused(refusal(source)),
        6 => {
            let entries = many(source, name_entry);
            let last =
                if source.byte() % 2 == 0 { entries.last().cloned() } else { Some(name_entry(source)) };
            Response::Names(NamesPage { entries, more: source.byte() % 2 == 0, last })
        }
        7 => Response::Status(StatusReport::default()),
        8 => {
            let peers = many(source, |source| PeerReport {
                contact: contact(source, contacts),
                rtt_us: None,
                live: true,
            });
            Response::Peers(PeerList { peers, more: source.byte() % 2 == 0 })
        }
        9 => Response::Left(Empty {}),
        10 => Response::Coming(Coming { bytes: size(source) }),
        11 => Response::Unsupported(Empty {}),
        13 => {
            let member_ms = (source.byte() % 2 == 0).then(|| size(source));
            let foreign = (source.byte() % 2 == 0).then(|| source.name());
            Response::Sums(Sums { hashes: source.name(), member_ms, foreign })
        }
        14 => Response::Page(page(source)),
        15 => Response::PageSummary(page(source).summary()),
        16 => Response::Watching(Watching {
            version: version(source),
            lease_ms: size(source),
            told: told(source),
        }),
        17 => Response::Heard(Heard { interested: source.byte() % 2 == 0 }),
        18 => Response::Parts(Parts { parts: source.name() }),
        19 => Response::Fetching(Fetching { records: size(source), newer: source.name() }),
        20 => Response::Recalled(Recalled { versions: many(source, version) }),
        21 => Response::Copied(Copied { stored: size(source) }),
        _ => Response::Unknown(source.byte() | 0xc0),
    }
}

/// Ranges that may cover each other, stand in any order, or be empty.
fn ranges(source: &mut Source<'_>) -> PrefixList {
    let range = |source: &mut Source<'_>| {
        let key = source.key();
        let mut path = [0; 16];
        path.copy_from_slice(&key.as_bytes()[..16]);
        Prefix::new(u128::from_be_bytes(path), source.byte())
    };
    PrefixList(many(source, range))
}

fn items(source: &mut Source<'_>) -> Items {
    Items {
        key: source.key(),
        name: source.name(),
        want: source.one_of([Want::Record, Want::Summary]),
        from: source.one_of([Stamp::MIN, Stamp::MAX]),
        to: source.one_of([Stamp::MIN, Stamp::MAX]),
        newest_first: source.byte() % 2 == 0,
        items_max: source.byte().into(),
        bytes_max: source.short().into(),
        with_base: source.byte() % 2 == 0,
    }
}

fn page(source: &mut Source<'_>) -> Page {
    let (part, base_stamp) = (source.record(), source.stamp());
    let next = if source.byte() % 2 == 0 { None } else { Some(source.stamp()) };
    let shape = source.one_of([None, Some(Shape::Value), Some(Shape::List), Some(Shape::Map)]);
    Page { record: version(source), shape, base_stamp, part, next }
}

fn put(source: &mut Source<'_>) -> Put {
    let (key, name, delta) = (source.key(), source.name(), source.record());
    let if_newest = if source.byte() % 4 == 0 { Some(source.stamp()) } else { None };
    Put {
        key,
        name,
        mode: source.one_of([PutMode::Publish, PutMode::Replicate, PutMode::Trim]),
        delta,
        if_newest,
    }
}

fn refusal(source: &mut Source<'_>) -> Refusal {
    let shapes = [Shape::Value, Shape::List, Shape::Map];
    match source.below(11) {
        0 => Refusal::Superseded {
            newest: source.one_of([Stamp::MIN, Stamp { time: u64::MAX, writer: u64::MAX }]),
        },
        1 => Refusal::Superseded { newest: source.stamp() },
        2 => Refusal::WrongShape { wanted: source.one_of(shapes), found: source.one_of(shapes) },
        3 => Refusal::Conflict { found: version(source) },
        4 => Refusal::TooLarge { bytes: size(source), bytes_max: size(source) },
        5 => Refusal::ClockAhead { ahead_ms: size(source), ahead_ms_max: size(source) },
        7 => Refusal::RecordFull { bytes: size(source), bytes_max: size(source) },
        8 => Refusal::TooManyWatches { watches_max: 0 },
        6 => Refusal::Rejected { reason: "no".into() },
        9 => Refusal::Starting,
        _ => source.one_of([&Refusal::Full { bytes_max: 0 }, &Refusal::StorageFailed]).clone(),
    }
}

fn name_entry(source: &mut Source<'_>) -> NameEntry {
    NameEntry { key: source.key(), name: source.name() }
}

/// The number of a change: mostly a small one, so that some follow each other.
fn told(source: &mut Source<'_>) -> u64 {
    if source.byte() % 16 == 0 {
        u64::MAX - u64::from(source.byte() % 2)
    } else {
        u64::from(source.byte() % 8)
    }
}

fn version(source: &mut Source<'_>) -> Version {
    Version::from_bytes([source.byte() % 4; 16])
}

fn size(source: &mut Source<'_>) -> u64 {
    u64::from(source.short()) << (source.byte() % 49)
}

fn many<T>(source: &mut Source<'_>, mut one: impl FnMut(&mut Source<'_>) -> T) -> Vec<T> {
    (0..source.below(32)).map(|_| one(source)).collect()
}

/// One of the known contacts, now and then at another address.
fn contact(source: &mut Source<'_>, contacts: &[Contact]) -> WireContact {
    let mut contact = contacts[source.below(contacts.len())];
    if source.byte() % 8 == 0 {
        contact.address.set_port(source.short());
    }
    WireContact(contact)
}
