# The Rust module that the package kadmap stands on: private, its names come out through `kadmap`.
#
# Names are bytes.
# A value is a pair of its kind and what it holds: ("json", text) kept digit for digit, ("bytes", bytes),
# and on reads also ("list", [pairs]) and ("map", {field: pair}) where at least one item is bytes.
# A place is None for the hash of the name, bytes to be hashed, or an int of 256 bits that is the place itself.
# With a queue a call returns an Operation at once and its outcome arrives there under the token; without one it blocks,
# with the GIL released and signals answered within 50 ms.
# Arguments that cannot be right raise at once in both forms.

from collections.abc import Iterable, Sequence
from os import PathLike
from typing import Any, Final, Literal, Protocol, TypeAlias, final, overload

_Value: TypeAlias = tuple[str, Any]
_Place: TypeAlias = bytes | int

__all__ = [
    "run_command",
    "flush_log",
    "set_log_level",
    "Node",
    "Announcement",
    "Operation",
    "Queue",
    "Hop",
    "Lookup",
    "Peer",
    "PutResult",
    "Reading",
    "Status",
    "Scan",
    "Watch",
    "__version__",
    "KadmapError",
    "StartError",
    "SettingError",
    "ListenError",
    "JoinError",
    "StoreError",
    "PutError",
    "TooFewAcks",
    "Refused",
    "Conflict",
    "WrongShape",
    "TooLarge",
    "GetError",
    "TooFewAnswers",
    "NoSuchItem",
    "Stopped",
    "ForkedError",
    "OperationTimeout",
]

__version__: Final[str]

# What `storage` of Node.start must have; called on a thread of the node's own.
class _Storage(Protocol):
    # At start: name, place and blob of every record, as they were saved.
    def load(self) -> Iterable[tuple[bytes, int, bytes]]: ...
    # A record changed: the blob is its exact state, the value what there is to read, None when there is nothing.
    # An exception refuses that one write.
    def save(self, name: bytes, place: int, blob: bytes, value: _Value | None, /) -> None: ...
    # A record is gone, its tombstone too.
    def forget(self, name: bytes, place: int, /) -> None: ...

# What `guard` of Node.start must have; called on a thread of the node's own.
class _Guard(Protocol):
    # The kinds that it sees: "ping", "pong", "find", "found_nodes", "found_value", "store".
    @property
    def kinds(self) -> Iterable[str]: ...
    # Returns the message, or None to veto; of changes only that of "value" counts, in "found_value" and "store".
    # An exception is logged and vetoes.
    def message(self, kind: str, message: dict[str, Any], /) -> dict[str, Any] | None: ...

# Passes on to `logging` what nodes say from this level on; 30 (warnings) unless told otherwise.
def set_log_level(level: int) -> None: ...

# Waits until what nodes have said so far has been logged, a second at most.
def flush_log() -> None: ...

# Does what the command `kadmap` does with these arguments, the program's name not among them; returns the exit code.
def run_command(args: Sequence[str]) -> int: ...

# Finished operations on their way to a loop.
@final
class Queue:
    def __new__(cls) -> Queue: ...
    # The non-blocking socket that becomes readable when the queue is no longer empty; whoever takes it owns it.
    # When it is readable, first receive what is there, then drain: the other way round a wake-up gets lost.
    def take_fd(self) -> int: ...
    # Token, True and result, or token, False and exception; oldest first.
    def drain(self) -> list[tuple[int, bool, Any]]: ...
    # Drops what is there and whatever still comes.
    def close(self) -> None: ...

# One operation on its way to a queue.
@final
class Operation:
    # Its token arrives no more; what was sent stays sent.
    def cancel(self) -> None: ...

@final
class Node:
    # 32 bytes.
    @property
    def id(self) -> bytes: ...
    # Where its socket is bound.
    @property
    def host(self) -> str: ...
    @property
    def port(self) -> int: ...
    # Whether it has stopped, or belongs to the process that this one was forked from.
    @property
    def closed(self) -> bool: ...
    # Starts a node and joins it to a swarm.
    @staticmethod
    @overload
    def start(
        *,
        listen: str | None = None,
        join: Sequence[str] = ...,
        join_timeout: float | None = None,
        join_retry: bool = False,
        data_dir: str | PathLike[str] | None = None,
        secret: bytes | None = None,
        pki: tuple[str | PathLike[str], str | PathLike[str], str | PathLike[str]] | None = None,
        replication: int | None = None,
        consistency: str | None = None,
        durability: str | None = None,
        scrub_interval: float | None = None,
        value_bytes_max: int | None = None,
        record_bytes_max: int | None = None,
        operation_timeout: float | None = None,
        info: str | None = None,
        client: bool = False,
        packet_loss: float = 0.0,
        storage: _Storage | None = None,
        guard: _Guard | None = None,
        queue: None = None,
        token: int = 0,
    ) -> Node: ...
    @staticmethod
    @overload
    def start(
        *,
        listen: str | None = None,
        join: Sequence[str] = ...,
        join_timeout: float | None = None,
        join_retry: bool = False,
        data_dir: str | PathLike[str] | None = None,
        secret: bytes | None = None,
        pki: tuple[str | PathLike[str], str | PathLike[str], str | PathLike[str]] | None = None,
        replication: int | None = None,
        consistency: str | None = None,
        durability: str | None = None,
        scrub_interval: float | None = None,
        value_bytes_max: int | None = None,
        record_bytes_max: int | None = None,
        operation_timeout: float | None = None,
        info: str | None = None,
        client: bool = False,
        packet_loss: float = 0.0,
        storage: _Storage | None = None,
        guard: _Guard | None = None,
        queue: Queue,
        token: int = 0,
    ) -> Operation: ...
    # The place of a name, most significant byte first.
    def place_of(self, name: bytes, place: _Place | None = None) -> int: ...
    # Stores a value in the place of whatever is there.
    @overload
    def put(
        self,
        name: bytes,
        value: _Value,
        *,
        place: _Place | None = None,
        ttl: float | None = None,
        timeout: float | None = None,
        consistency: str | None = None,
        if_version: str | None = None,
        queue: None = None,
        token: int = 0,
    ) -> PutResult: ...
    @overload
    def put(
        self,
        name: bytes,
        value: _Value,
        *,
        place: _Place | None = None,
        ttl: float | None = None,
        timeout: float | None = None,
        consistency: str | None = None,
        if_version: str | None = None,
        queue: Queue,
        token: int = 0,
    ) -> Operation: ...
    # Adds an item to a list, which comes to be if nothing is there.
    @overload
    def append(
        self,
        name: bytes,
        value: _Value,
        *,
        place: _Place | None = None,
        ttl: float | None = None,
        timeout: float | None = None,
        consistency: str | None = None,
        queue: None = None,
        token: int = 0,
    ) -> PutResult: ...
    @overload
    def append(
        self,
        name: bytes,
        value: _Value,
        *,
        place: _Place | None = None,
        ttl: float | None = None,
        timeout: float | None = None,
        consistency: str | None = None,
        queue: Queue,
        token: int = 0,
    ) -> Operation: ...
    # Writes one field of a map, which comes to be if nothing is there.
    @overload
    def put_field(
        self,
        name: bytes,
        field: str,
        value: _Value,
        *,
        place: _Place | None = None,
        ttl: float | None = None,
        timeout: float | None = None,
        consistency: str | None = None,
        queue: None = None,
        token: int = 0,
    ) -> PutResult: ...
    @overload
    def put_field(
        self,
        name: bytes,
        field: str,
        value: _Value,
        *,
        place: _Place | None = None,
        ttl: float | None = None,
        timeout: float | None = None,
        consistency: str | None = None,
        queue: Queue,
        token: int = 0,
    ) -> Operation: ...
    # Removes one field of a map.
    @overload
    def delete_field(
        self,
        name: bytes,
        field: str,
        *,
        place: _Place | None = None,
        timeout: float | None = None,
        consistency: str | None = None,
        queue: None = None,
        token: int = 0,
    ) -> PutResult: ...
    @overload
    def delete_field(
        self,
        name: bytes,
        field: str,
        *,
        place: _Place | None = None,
        timeout: float | None = None,
        consistency: str | None = None,
        queue: Queue,
        token: int = 0,
    ) -> Operation: ...
    # Removes whatever is there; that nothing was there is no error.
    @overload
    def delete(
        self,
        name: bytes,
        *,
        place: _Place | None = None,
        timeout: float | None = None,
        consistency: str | None = None,
        queue: None = None,
        token: int = 0,
    ) -> PutResult: ...
    @overload
    def delete(
        self,
        name: bytes,
        *,
        place: _Place | None = None,
        timeout: float | None = None,
        consistency: str | None = None,
        queue: Queue,
        token: int = 0,
    ) -> Operation: ...
    # Reads what is there.
    @overload
    def get(
        self,
        name: bytes,
        *,
        place: _Place | None = None,
        timeout: float | None = None,
        consistency: str | None = None,
        queue: None = None,
        token: int = 0,
    ) -> Reading: ...
    @overload
    def get(
        self,
        name: bytes,
        *,
        place: _Place | None = None,
        timeout: float | None = None,
        consistency: str | None = None,
        queue: Queue,
        token: int = 0,
    ) -> Operation: ...
    # The nodes closest to a name's place.
    @overload
    def lookup(
        self,
        name: bytes,
        *,
        place: _Place | None = None,
        queue: None = None,
        token: int = 0,
    ) -> Lookup: ...
    @overload
    def lookup(
        self,
        name: bytes,
        *,
        place: _Place | None = None,
        queue: Queue,
        token: int = 0,
    ) -> Operation: ...
    # One page of a list: items as (id, expires_ms, value), the `after` of the next page, and whether anything is there.
    @overload
    def items(
        self, name: bytes, *, after: str | None = None, limit: int = 512, place: _Place | None = None,
        timeout: float | None = None, consistency: str | None = None, queue: None = None, token: int = 0,
    ) -> tuple[list[tuple[str | None, int | None, _Value]], str | None, bool]: ...
    @overload
    def items(
        self, name: bytes, *, after: str | None = None, limit: int = 512, place: _Place | None = None,
        timeout: float | None = None, consistency: str | None = None, queue: Queue, token: int = 0,
    ) -> Operation: ...
    # Removes one item of a list by its id.
    @overload
    def remove(
        self, name: bytes, id: str, *, place: _Place | None = None, timeout: float | None = None,
        consistency: str | None = None, queue: None = None, token: int = 0,
    ) -> PutResult: ...
    @overload
    def remove(
        self, name: bytes, id: str, *, place: _Place | None = None, timeout: float | None = None,
        consistency: str | None = None, queue: Queue, token: int = 0,
    ) -> Operation: ...
    # Drops the oldest of a list; None when there was nothing to drop.
    @overload
    def trim(
        self, name: bytes, *, keep: int | None = None, up_to: str | None = None, since_ms: int | None = None,
        place: _Place | None = None, timeout: float | None = None, consistency: str | None = None,
        queue: None = None, token: int = 0,
    ) -> PutResult | None: ...
    @overload
    def trim(
        self, name: bytes, *, keep: int | None = None, up_to: str | None = None, since_ms: int | None = None,
        place: _Place | None = None, timeout: float | None = None, consistency: str | None = None,
        queue: Queue, token: int = 0,
    ) -> Operation: ...
    # Announces this node, or the one of the id, until the announcement is stopped or dropped.
    @overload
    def announce(
        self, name: bytes, payload: _Value, *, id: str | None = None, ttl: float | None = None,
        place: _Place | None = None, timeout: float | None = None, consistency: str | None = None,
        queue: None = None, token: int = 0,
    ) -> Announcement: ...
    @overload
    def announce(
        self, name: bytes, payload: _Value, *, id: str | None = None, ttl: float | None = None,
        place: _Place | None = None, timeout: float | None = None, consistency: str | None = None,
        queue: Queue, token: int = 0,
    ) -> Operation: ...
    # Announces this node, or the one of the id, without renewing it.
    @overload
    def announce_once(
        self, name: bytes, payload: _Value, *, id: str | None = None, ttl: float | None = None,
        place: _Place | None = None, timeout: float | None = None, consistency: str | None = None,
        queue: None = None, token: int = 0,
    ) -> PutResult: ...
    @overload
    def announce_once(
        self, name: bytes, payload: _Value, *, id: str | None = None, ttl: float | None = None,
        place: _Place | None = None, timeout: float | None = None, consistency: str | None = None,
        queue: Queue, token: int = 0,
    ) -> Operation: ...
    # Withdraws what was announced for a node; that nothing was is no error.
    @overload
    def withdraw(
        self, name: bytes, id: str | None = None, *, place: _Place | None = None, timeout: float | None = None,
        consistency: str | None = None, queue: None = None, token: int = 0,
    ) -> PutResult: ...
    @overload
    def withdraw(
        self, name: bytes, id: str | None = None, *, place: _Place | None = None, timeout: float | None = None,
        consistency: str | None = None, queue: Queue, token: int = 0,
    ) -> Operation: ...
    # Who is announced, as (id, payload, expires_ms).
    @overload
    def providers(
        self, name: bytes, *, place: _Place | None = None, timeout: float | None = None,
        consistency: str | None = None, queue: None = None, token: int = 0,
    ) -> list[tuple[str, _Value, int]]: ...
    @overload
    def providers(
        self, name: bytes, *, place: _Place | None = None, timeout: float | None = None,
        consistency: str | None = None, queue: Queue, token: int = 0,
    ) -> Operation: ...
    # The names of the records that this node holds itself.
    @overload
    def names(
        self,
        queue: None = None,
        token: int = 0,
    ) -> list[bytes]: ...
    @overload
    def names(
        self,
        queue: Queue,
        token: int = 0,
    ) -> Operation: ...
    # The names of the swarm's records at one place, in order.
    @overload
    def names_at(
        self,
        place: _Place,
        queue: None = None,
        token: int = 0,
    ) -> list[bytes]: ...
    @overload
    def names_at(
        self,
        place: _Place,
        queue: Queue,
        token: int = 0,
    ) -> Operation: ...
    # Joins while it runs, by the addresses of any members.
    @overload
    def join(
        self,
        addresses: Sequence[str],
        timeout: float,
        queue: None = None,
        token: int = 0,
    ) -> None: ...
    @overload
    def join(
        self,
        addresses: Sequence[str],
        timeout: float,
        queue: Queue,
        token: int = 0,
    ) -> Operation: ...
    # The contacts in its routing table, in id order.
    @overload
    def peers(
        self,
        queue: None = None,
        token: int = 0,
    ) -> list[Peer]: ...
    @overload
    def peers(
        self,
        queue: Queue,
        token: int = 0,
    ) -> Operation: ...
    # Every live contact and what it tells of itself; None from one that does not answer in time.
    @overload
    def peers_info(
        self,
        timeout: float,
        queue: None = None,
        token: int = 0,
    ) -> list[tuple[Peer, str | None]]: ...
    @overload
    def peers_info(
        self,
        timeout: float,
        queue: Queue,
        token: int = 0,
    ) -> Operation: ...
    # How this node is.
    @overload
    def status(
        self,
        queue: None = None,
        token: int = 0,
    ) -> Status: ...
    @overload
    def status(
        self,
        queue: Queue,
        token: int = 0,
    ) -> Operation: ...
    # Hands over what others lack, says goodbye and stops; how many records were handed over.
    @overload
    def leave(
        self,
        timeout: float,
        queue: None = None,
        token: int = 0,
    ) -> int: ...
    @overload
    def leave(
        self,
        timeout: float,
        queue: Queue,
        token: int = 0,
    ) -> Operation: ...
    # Begins to watch a name.
    @overload
    def watch(
        self,
        name: bytes,
        *,
        place: _Place | None = None,
        initial: bool = True,
        timeout: float | None = None,
        queue: None = None,
        token: int = 0,
    ) -> Watch: ...
    @overload
    def watch(
        self,
        name: bytes,
        *,
        place: _Place | None = None,
        initial: bool = True,
        timeout: float | None = None,
        queue: Queue,
        token: int = 0,
    ) -> Operation: ...
    # The names of the whole swarm, page by page.
    def scan(self) -> Scan: ...
    # At once, without a hand-over or a goodbye; whatever is under way ends with Stopped.
    def stop(self) -> None: ...

# An announcement that is renewed until it is stopped or dropped.
@final
class Announcement:
    # Who is announced, in hexadecimal.
    @property
    def id(self) -> str: ...
    # Ends the renewals and withdraws the announcement; None when it has ended before.
    @overload
    def stop(
        self, queue: None = None, token: int = 0,
    ) -> PutResult | None: ...
    @overload
    def stop(
        self, queue: Queue, token: int = 0,
    ) -> Operation: ...

# The names of all records in the swarm, each once, in pages.
@final
class Scan:
    # None at the end.
    @overload
    def next_page(
        self,
        queue: None = None,
        token: int = 0,
    ) -> list[bytes] | None: ...
    @overload
    def next_page(
        self,
        queue: Queue,
        token: int = 0,
    ) -> Operation: ...

# The changes of one name, until it is closed or the node has stopped.
@final
class Watch:
    # (kind, value, field, stamp, lagged); ("idle",) when none comes in time; None at the end.
    @overload
    def next(
        self,
        timeout: float | None = None,
        queue: None = None,
        token: int = 0,
    ) -> tuple[str, _Value | None, str | None, str | None, bool] | tuple[str] | None: ...
    @overload
    def next(
        self,
        timeout: float | None,
        queue: Queue,
        token: int = 0,
    ) -> Operation: ...
    # Ends whoever waits for the next change; idempotent.
    def close(self) -> None: ...

# A write that was acknowledged; ids are hexadecimal.
@final
class PutResult:
    # Who has it.
    @property
    def acks(self) -> list[str]: ...
    # How many were needed, and how many are responsible.
    @property
    def need(self) -> int: ...
    @property
    def replicas(self) -> int: ...
    # Who refused, and why.
    @property
    def refused(self) -> list[tuple[str, str]]: ...
    # Who did not answer in time.
    @property
    def silent(self) -> list[str]: ...
    # The id of an item that was appended, by which it can be removed; of other writes their own.
    @property
    def id(self) -> str: ...
    # Bytes of the record after it, and how many it may have; None when no node said.
    @property
    def record_bytes(self) -> int | None: ...
    @property
    def record_bytes_max(self) -> int | None: ...
    # Whether it is time to trim the record or to use another key.
    @property
    def is_nearly_full(self) -> bool: ...
    # The record's version after it.
    @property
    def version(self) -> str: ...

# What a read found.
@final
class Reading:
    # None when there is nothing.
    @property
    def value(self) -> _Value | None: ...
    # 32 zeros when there never was anything.
    @property
    def version(self) -> str: ...
    # How many replicas answered, how many were needed, how many are responsible, how many lacked something.
    @property
    def answers(self) -> int: ...
    @property
    def need(self) -> int: ...
    @property
    def replicas(self) -> int: ...
    @property
    def repaired(self) -> int: ...

# Another node as a node sees it.
@final
class Peer:
    @property
    def id(self) -> str: ...
    @property
    def host(self) -> str: ...
    @property
    def port(self) -> int: ...
    # Seconds; None before the first answer.
    @property
    def rtt(self) -> float | None: ...
    # Whether it answers.
    @property
    def live(self) -> bool: ...

# A node's own account of itself; packets are those received and sent, uptime is in seconds.
@final
class Status:
    @property
    def id(self) -> str: ...
    @property
    def address(self) -> str: ...
    @property
    def software(self) -> str: ...
    @property
    def contacts(self) -> int: ...
    @property
    def connections(self) -> int: ...
    @property
    def records(self) -> int: ...
    @property
    def record_bytes(self) -> int: ...
    @property
    def requests_served(self) -> int: ...
    @property
    def requests_sent(self) -> int: ...
    @property
    def requests_repeated(self) -> int: ...
    @property
    def requests_unanswered(self) -> int: ...
    @property
    def puts_refused(self) -> int: ...
    @property
    def replicas_repaired(self) -> int: ...
    @property
    def packets(self) -> tuple[int, int]: ...
    @property
    def frames_malformed(self) -> int: ...
    @property
    def uptime(self) -> float: ...
    @property
    def replication(self) -> int: ...

# What a lookup found: the closest nodes that answered, nearest first, and every request it made.
@final
class Lookup:
    @property
    def closest(self) -> list[Peer]: ...
    @property
    def trace(self) -> list[Hop]: ...

# One request of a lookup.
@final
class Hop:
    @property
    def id(self) -> str: ...
    @property
    def host(self) -> str: ...
    @property
    def port(self) -> int: ...
    # The disjoint path that asked it, its distance from us in requests, and who told of it.
    @property
    def path(self) -> int: ...
    @property
    def depth(self) -> int: ...
    @property
    def told_by(self) -> str | None: ...
    @property
    def outcome(self) -> Literal["answered", "waiting", "slow", "failed"]: ...
    # Contacts that it named, and those of them that were new.
    @property
    def contacts(self) -> tuple[int, int]: ...
    # Seconds; None without an answer.
    @property
    def rtt(self) -> float | None: ...

class KadmapError(Exception): ...
class StartError(KadmapError): ...
class SettingError(StartError, ValueError): ...
class ListenError(StartError, OSError): ...

class JoinError(StartError):
    # Each address and what became of it.
    attempts: list[tuple[str, str]]

class StoreError(StartError): ...

class PutError(KadmapError):
    acks: list[str]
    need: int
    refused: list[tuple[str, str]]
    silent: list[str]

class TooFewAcks(PutError): ...
class Refused(PutError): ...

class Conflict(Refused):
    # The version that is there.
    found: str

class WrongShape(Refused, TypeError): ...

class TooLarge(PutError, ValueError):
    bytes: int
    bytes_max: int

class GetError(KadmapError): ...

class TooFewAnswers(GetError):
    answers: int
    need: int

class NoSuchItem(KadmapError, LookupError):
    id: str

class Stopped(KadmapError, RuntimeError): ...
class ForkedError(Stopped): ...
class OperationTimeout(KadmapError, TimeoutError): ...
