"""The blocking form: a map shared by a swarm of peers."""

from __future__ import annotations

from collections.abc import Callable, ItemsView, Iterable, Iterator, MutableMapping, ValuesView
from types import TracebackType
from typing import Any, Optional, TypeVar, Union, overload

from kadmap._addresses import DEFAULT_PORT, Address
from kadmap._announce import Announcement
from kadmap._call import Call, Steps, drive
from kadmap._filter import Guard
from kadmap._handle import JOIN_TIMEOUT_S, LEAVE_TIMEOUT_S, Handle
from kadmap._hash import HashFunction
from kadmap._kadmap import Lookup, Peer, PutResult, Status, Stopped
from kadmap._keys import Key
from kadmap._lists import ListItem, Moment, Provider
from kadmap._results import Introduction, Reading
from kadmap._settings import Consistency, DataDir, Durability, Pki, Settings
from kadmap._views import Items, Values
from kadmap._wait import run
from kadmap._watch import Watch

T = TypeVar("T")

_NO_DEFAULT: Any = object()


class DHT(Handle, MutableMapping[Key, Any]):
    """A node of a swarm, and the map that the swarm shares.

    Reading and writing one key (`[]`, `get`, `set`, `append`, `in`, `del`, `pop`, `setdefault`) is about the whole swarm.
    What is about many keys (`len`, iteration, `keys`, `items`, `values`, `clear`, `popitem`) is about those of which this
    node holds a replica; in a swarm of at most `replication` nodes that is all of them. `scan()` is about all keys of the
    swarm.

    Keys are str, bytes or int, and `"1"`, `b"1"` and `1` are three keys.
    Values are what JSON can carry, kept exactly (also big integers), and bytes.
    As with the json module a tuple comes back as a list, and keys of a dict inside a value come back as str.

    May be shared by threads. A call blocks its thread only (under gevent: its greenlet only), and Ctrl-C ends it.

    >>> import kadmap
    >>> with kadmap.DHT("127.0.0.1", 0) as first:
    ...     with kadmap.DHT("127.0.0.1", 0, seeds=[first.address]) as second:
    ...         first["colours"] = ["red", "green"]
    ...         _ = second.append("colours", "blue")
    ...         first["colours"]
    ['red', 'green', 'blue']

    Args:
        host: Where to listen: an address or name of this machine; "" for all its addresses.
        port: The UDP port; 0 takes any free one.
        seeds: Members of the swarm, `(host, port)` or `"host:port"`; one that answers is enough. Without any, the node
            starts a swarm of its own. When none answers, JoinError.
        storage: Where this node keeps its records: anything with `__getitem__` and `__setitem__`, such as a dict, a shelf
            or a class of yours, which then holds keys and plain values. See "Storage plug-ins" of the Python page.
        data_dir: A folder for identity, records and known members instead: crash-safe and fast.
        secret: Only nodes with the same secret (8 bytes or more) may join and read. Without one, anyone may.
        hash_function: Where a key lives: returns str or bytes, which are hashed again, or an int, which is the place
            itself (modulo 2**256). Keys that hash alike live together and stay distinct. The same on all nodes.
        id: A number by which this node calls itself in `introductions()`; its proven id is given by its key pair.
        info: Anything JSON can carry, for others to see in `introductions()`.
        replication: How many nodes hold each key: 20 by default, 1 to 64. The same on all nodes.
        consistency: How many replicas an operation waits for: "one", "quorum" (default) or "all".
        guard: A plug-in that sees, may change and may veto what arrives; see `kadmap.Guard`.
        pki: Paths of an authority, a certificate and a key of your own, instead of a secret.
        durability: With `data_dir`: "replicated" (default) or "synced", which acknowledges when the disk has.
        value_bytes_max: The largest value, item or field: 1 MiB by default. The same on all nodes.
        record_bytes_max: The largest list or map in all: 64 MiB by default.
        operation_timeout: Seconds after which an operation gives up: 10 by default.
        join_timeout: Seconds after which a join gives up: 10 by default.
        join_retry: Goes on trying to join until a member answers.
        client: Only asks: holds nothing and serves nobody. For short-lived programs.
        packet_loss: Throws away this share (0.0 to 1.0) of outgoing packets, to see how a swarm copes.
        scrub_interval: With `data_dir`: seconds in which all that is stored is read once, to find what the disk has
            damaged and fetch it again before somebody needs it: a week by default, 0 for never.

    Raises:
        JoinError: nobody of the swarm answered.
        ListenError: the address or port cannot be had (an OSError too).
        SettingError: a setting is out of its range (a ValueError too).
        StoreError: the records in `data_dir` or `storage` cannot be read.
    """

    def __init__(
        self,
        host: str,
        port: int = DEFAULT_PORT,
        seeds: Iterable[Address] = (),
        storage: Any = None,
        data_dir: Optional[DataDir] = None,
        secret: Union[str, bytes, None] = None,
        hash_function: Optional[HashFunction] = None,
        id: Optional[int] = None,
        info: Any = None,
        replication: Optional[int] = None,
        consistency: Optional[Consistency] = None,
        *,
        guard: Optional[Guard] = None,
        pki: Optional[Pki] = None,
        durability: Optional[Durability] = None,
        value_bytes_max: Optional[int] = None,
        record_bytes_max: Optional[int] = None,
        operation_timeout: Optional[float] = None,
        join_timeout: Optional[float] = None,
        join_retry: bool = False,
        client: bool = False,
        packet_loss: float = 0.0,
        scrub_interval: Optional[float] = None,
    ) -> None:
        self._settings = Settings(
            host,
            port,
            seeds,
            storage,
            data_dir,
            secret,
            hash_function,
            id,
            info,
            replication,
            consistency,
            guard,
            pki,
            durability,
            value_bytes_max,
            record_bytes_max,
            operation_timeout,
            join_timeout,
            join_retry,
            client,
            packet_loss,
            scrub_interval,
        )
        core = self._opened(run(self._settings.start()))
        try:
            self._drive(core.restore())
        except BaseException:
            self.stop()
            raise

    # One key, in the whole swarm.

    def __getitem__(self, key: Key) -> Any:
        """The value under a key; KeyError, which names the key, when there is none.

        >>> dht["colour"] = "red"
        >>> dht["colour"]
        'red'
        >>> dht["nothing"]
        Traceback (most recent call last):
        KeyError: 'nothing'
        """
        return run(self._core.value(key))

    def __setitem__(self, key: Key, value: Any) -> None:
        """Stores a value under a key, in the place of whatever is there. Raises as `set` does.

        >>> dht["big"] = {"number": 2**100, "nothing": None}
        >>> dht["big"]
        {'number': 1267650600228229401496703205376, 'nothing': None}
        """
        run(self._core.put(key, value, None, None, None, None))

    def __delitem__(self, key: Key) -> None:
        """Removes a key; KeyError when there is nothing. `delete` asks no questions and costs half.

        >>> dht["colour"] = "red"
        >>> del dht["colour"]
        >>> "colour" in dht
        False
        """
        self._drive(self._core.delete_existing(key))

    def __contains__(self, key: object) -> bool:
        """Whether there is a value under a key, anywhere in the swarm. Costs a read.

        >>> dht["none"] = None
        >>> "none" in dht, "nothing" in dht
        (True, False)
        """
        return run(self._core.contains(key))  # type: ignore[arg-type]

    def get(
        self,
        key: Key,
        default: Any = None,
        timeout: Optional[float] = None,
        consistency: Optional[Consistency] = None,
    ) -> Any:
        """The value under a key, or the default when there is none.

        >>> dht.get("nothing", "default")
        'default'

        Raises:
            TooFewAnswers: fewer replicas answered than the consistency asks for, so that nobody knows.
            OperationTimeout: `timeout` seconds are over (a TimeoutError too).
        """
        return run(self._core.get(key, default, timeout, consistency))

    def read(self, key: Key, timeout: Optional[float] = None, consistency: Optional[Consistency] = None) -> Reading:
        """The value under a key with its version, and how many replicas answered.

        >>> dht["none"] = None
        >>> reading = dht.read("none")
        >>> reading.found, reading.value
        (True, None)
        """
        return run(self._core.read(key, timeout, consistency))

    def set(
        self,
        key: Key,
        value: Any,
        ttl: Optional[float] = None,
        timeout: Optional[float] = None,
        consistency: Optional[Consistency] = None,
    ) -> PutResult:
        """Stores a value under a key, for `ttl` seconds or for ever, and tells which replicas have it.

        >>> result = dht.set("colour", "red", ttl=60)
        >>> result.acks == [dht.id]
        True

        Raises:
            TypeError: the value is not JSON and not bytes; nothing has travelled then.
            TooFewAcks: fewer replicas acknowledged than the consistency asks for; some may have it all the same.
            TooLarge: the value is larger than `value_bytes_max`.
        """
        return run(self._core.put(key, value, ttl, timeout, consistency, None))

    def put_if_version(
        self,
        key: Key,
        value: Any,
        version: str,
        ttl: Optional[float] = None,
        timeout: Optional[float] = None,
        consistency: Optional[Consistency] = None,
    ) -> PutResult:
        """Stores a value if the record is still at the version that `read` or a write told.

        It detects a lost race and reports it as Conflict; no DHT can promise more.

        >>> dht["counter"] = 1
        >>> reading = dht.read("counter")
        >>> _ = dht.put_if_version("counter", reading.value + 1, reading.version)
        >>> dht.put_if_version("counter", 7, reading.version)  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        kadmap...Conflict: ...
        """
        return run(self._core.put(key, value, ttl, timeout, consistency, version))

    def append(
        self,
        key: Key,
        item: Any,
        ttl: Optional[float] = None,
        timeout: Optional[float] = None,
        consistency: Optional[Consistency] = None,
    ) -> PutResult:
        """Adds an item to the list under a key, which comes to be if nothing is there.

        Items of any number of writers at once are neither lost nor doubled. Costs the item, however long the list.

        >>> for item in ("bread", "cheese"):
        ...     _ = dht.append("shopping", item)
        >>> dht["shopping"]
        ['bread', 'cheese']

        Raises:
            WrongShape: there is something that is not a list (a TypeError too).
        """
        return run(self._core.append(key, item, ttl, timeout, consistency))

    def put_field(
        self,
        key: Key,
        field: str,
        value: Any,
        ttl: Optional[float] = None,
        timeout: Optional[float] = None,
        consistency: Optional[Consistency] = None,
    ) -> PutResult:
        """Writes one field of the dict under a key, which comes to be if nothing is there.

        Writers of other fields do not get in each other's way.

        >>> _ = dht.put_field("scores", "ann", 3)
        >>> _ = dht.put_field("scores", "bob", 5)
        >>> dht["scores"]
        {'ann': 3, 'bob': 5}
        """
        return run(self._core.put_field(key, field, value, ttl, timeout, consistency))

    def delete_field(
        self,
        key: Key,
        field: str,
        timeout: Optional[float] = None,
        consistency: Optional[Consistency] = None,
    ) -> PutResult:
        """Removes one field of the dict under a key. That it was not there is no error.

        >>> dht["pair"] = {"left": 1, "right": 2}
        >>> _ = dht.delete_field("pair", "left")
        >>> dht["pair"]
        {'right': 2}
        """
        return run(self._core.delete_field(key, field, timeout, consistency))

    def delete(self, key: Key, timeout: Optional[float] = None, consistency: Optional[Consistency] = None) -> PutResult:
        """Removes whatever is under a key. That nothing was there is no error.

        >>> _ = dht.delete("nothing")
        """
        return run(self._core.delete(key, timeout, consistency))

    def pop(self, key: Key, default: Any = _NO_DEFAULT) -> Any:
        """Removes a key and returns its value, or the default, or KeyError. Two calls: two who pop may both get it.

        >>> dht["once"] = 1
        >>> dht.pop("once"), dht.pop("once", None)
        (1, None)
        """
        try:
            return self._drive(self._core.take(key))
        except KeyError:
            if default is _NO_DEFAULT:
                raise
            return default

    def setdefault(self, key: Key, default: Any = None) -> Any:
        """The value under a key; if there is none, the default is stored and returned, unless another is first.

        >>> dht.setdefault("owner", "ann"), dht.setdefault("owner", "bob")
        ('ann', 'ann')
        """
        return self._drive(self._core.set_default(key, default))

    # Lists and announcements.

    def remove(
        self, key: Key, id: str, timeout: Optional[float] = None, consistency: Optional[Consistency] = None
    ) -> PutResult:
        """Removes one item of the list under a key, by the id that `items(key)` or the result of its `append` tells.

        >>> result = dht.append("todo", "sleep")
        >>> _ = dht.append("todo", "eat")
        >>> _ = dht.remove("todo", result.id)
        >>> dht["todo"]
        ['eat']

        Raises:
            NoSuchItem: the list has no such item (a LookupError too).
            WrongShape: there is something that is not a list (a TypeError too).
        """
        return run(self._core.remove(key, id, timeout, consistency))

    def trim(
        self,
        key: Key,
        keep: Optional[int] = None,
        before: Optional[Moment] = None,
        up_to: Optional[str] = None,
        timeout: Optional[float] = None,
        consistency: Optional[Consistency] = None,
    ) -> Optional[PutResult]:
        """Drops the oldest of the list under a key; one small message whatever is dropped. None if there was nothing to drop.

        `keep` items stay, or what was written at the time `before` (seconds since 1970, or a datetime) or later, or what
        stands after the item with the id `up_to`.
        The elements of a list that was stored as a whole go together.

        >>> for number in range(5):
        ...     _ = dht.append("log", number)
        >>> _ = dht.trim("log", keep=2)
        >>> dht["log"]
        [3, 4]

        Raises:
            WrongShape: there is something that is not a list (a TypeError too).
        """
        return run(self._core.trim(key, keep, before, up_to, timeout, consistency))

    def announce(
        self,
        key: Key,
        payload: Any = None,
        ttl: Optional[float] = None,
        id: Optional[str] = None,
        timeout: Optional[float] = None,
        consistency: Optional[Consistency] = None,
    ) -> Announcement:
        """Says under a key that this node (or the one of the `id`) has it, with a payload of any kind.

        Renewed until the announcement is stopped, at a third of `ttl` seconds: 1800 by default, 3 to 86400.

        >>> with dht.announce("model", "10.0.0.7:8000"):
        ...     [provider.payload for provider in dht.providers("model")]
        ['10.0.0.7:8000']

        Raises:
            WrongShape: the key is used for something else (a TypeError too).
        """
        return Announcement(run(self._core.announce(key, payload, ttl, id, timeout, consistency)))

    def announce_once(
        self,
        key: Key,
        payload: Any = None,
        ttl: Optional[float] = None,
        id: Optional[str] = None,
        timeout: Optional[float] = None,
        consistency: Optional[Consistency] = None,
    ) -> PutResult:
        """Announces as `announce` does, without renewing it: for programs that come back by themselves.

        >>> _ = dht.announce_once("job", "running", ttl=60)
        >>> len(dht.providers("job"))
        1
        """
        return run(self._core.announce_once(key, payload, ttl, id, timeout, consistency))

    def withdraw(
        self,
        key: Key,
        id: Optional[str] = None,
        timeout: Optional[float] = None,
        consistency: Optional[Consistency] = None,
    ) -> PutResult:
        """Withdraws what was announced once for this node, or the one of the `id`. That nothing was is no error.

        >>> _ = dht.announce_once("job", "running")
        >>> _ = dht.withdraw("job")
        >>> dht.providers("job")
        []
        """
        return run(self._core.withdraw(key, id, timeout, consistency))

    def providers(
        self, key: Key, timeout: Optional[float] = None, consistency: Optional[Consistency] = None
    ) -> list[Provider]:
        """Who is announced under a key, each once; only those whose time is not over.

        >>> dht.providers("nothing")
        []

        Raises:
            WrongShape: the key is used for something else (a TypeError too).
        """
        return run(self._core.providers(key, timeout, consistency))

    # Keys of which this node holds a replica.

    def names(self) -> list[Key]:
        """The keys of which this node holds a replica.

        >>> dht["colour"] = "red"
        >>> "colour" in dht.names()
        True
        """
        return run(self._core.names())

    def __iter__(self) -> Iterator[Key]:
        """Over the keys of which this node holds a replica, as they are now."""
        return iter(self.names())

    def __len__(self) -> int:
        """How many keys this node holds a replica of."""
        return len(self.names())

    @overload
    def items(self) -> ItemsView[Key, Any]: ...

    @overload
    def items(
        self,
        key: Key,
        after: Optional[str] = None,
        timeout: Optional[float] = None,
        consistency: Optional[Consistency] = None,
    ) -> Iterator[ListItem]: ...

    def items(
        self,
        key: Any = _NO_DEFAULT,
        after: Optional[str] = None,
        timeout: Optional[float] = None,
        consistency: Optional[Consistency] = None,
    ) -> Any:
        """With a key: the elements of the list there with their ids, a page at a time as the loop goes on.

        >>> for word in ("bread", "cheese", "wine"):
        ...     _ = dht.append("shopping", word)
        >>> [item.value for item in dht.items("shopping")]
        ['bread', 'cheese', 'wine']
        >>> first = next(dht.items("shopping"))
        >>> [item.value for item in dht.items("shopping", after=first.id)]
        ['cheese', 'wine']

        Without one: keys of which this node holds a replica, with their values read from the swarm, one by one.

        >>> with kadmap.DHT("127.0.0.1", 0) as lone:
        ...     lone.update(a=1, b=2)
        ...     sorted(lone.items())
        [('a', 1), ('b', 2)]

        Raises:
            WrongShape: there is something that is not a list (a TypeError too).
        """
        if key is _NO_DEFAULT:
            return Items(self)
        return self._list_items(self._core.item_pages(key, after, timeout, consistency))

    def _list_items(self, next_page: Callable[[], Optional[Call[list[ListItem]]]]) -> Iterator[ListItem]:
        while (call := next_page()) is not None:
            yield from run(call)

    def values(self) -> ValuesView[Any]:
        """Values of the keys of which this node holds a replica, read from the swarm, one by one."""
        return Values(self)

    def clear(self) -> None:
        """Deletes, from the whole swarm, every key of which this node holds a replica."""
        for key in self.names():
            self.delete(key)

    def popitem(self) -> tuple[Key, Any]:
        """Removes one of the keys of which this node holds a replica and returns it with its value; or KeyError."""
        for key in self.names():
            try:
                return key, self.pop(key)
            except KeyError:
                continue
        raise KeyError("popitem(): this node holds no key")

    def __eq__(self, other: object) -> bool:
        """Handles are compared as what they are, not by reading the swarm."""
        return self is other

    def __hash__(self) -> int:
        return object.__hash__(self)

    # The swarm.

    def scan(self) -> Iterator[Key]:
        """Over all keys of the swarm, in no particular order, each once; they come in pages as the loop goes on.

        Keys written or deleted meanwhile may or may not be seen.

        >>> dht["colour"] = "red"
        >>> "colour" in set(dht.scan())
        True
        """
        next_page = self._core.pages()
        while (page := run(next_page())) is not None:
            yield from page

    def watch(self, key: Key, *, initial: bool = True, timeout: Optional[float] = None) -> Watch:
        """The changes of a key as they happen, pushed by the nodes that hold it: what is there now, then each write once.

        Iterating blocks until there is a change, and ends when the watch or the DHT is closed; see `Watch`.

        >>> dht["colour"] = "red"
        >>> with dht.watch("colour") as changes:
        ...     dht["colour"] = "blue"
        ...     [change.value for change in (next(changes), next(changes))]
        ['red', 'blue']

        Args:
            key: The key.
            initial: Whether the first change tells what is there now.
            timeout: How many seconds to try to begin; a watch that has begun goes on until it is closed.

        Raises:
            TooFewAnswers: Fewer nodes than needed agreed in time to tell of changes.
        """
        return Watch(run(self._core.watch(key, initial, timeout)))

    def names_at(self, place: int) -> list[Key]:
        """The keys of the whole swarm that live at exactly this place; see `place` and `hash_function`.

        >>> dht["colour"] = "red"
        >>> dht.names_at(dht.place("colour"))
        ['colour']
        """
        return run(self._core.names_at(place))

    def join(self, seeds: Iterable[Address], timeout: float = JOIN_TIMEOUT_S) -> None:
        """Joins by further members, for example to bring two swarms together; JoinError when none answers.

        >>> with kadmap.DHT("127.0.0.1", 0) as other:
        ...     other.join([dht.address])
        ...     [peer.id for peer in other.peers()] == [dht.id]
        True
        """
        run(self._core.join(seeds, timeout))

    def peers(self) -> list[Peer]:
        """The nodes that this node knows, as it sees them.

        >>> dht.peers()
        []
        """
        return run(self._core.peers())

    def introductions(self, timeout: float = 1.0) -> list[Introduction]:
        """Asks every live peer for the `id` and `info` it was made with.

        >>> with kadmap.DHT("127.0.0.1", 0, seeds=[dht.address], id=7, info={"role": "printer"}) as other:
        ...     [(told.id, told.info) for told in dht.introductions()]
        [(7, {'role': 'printer'})]
        """
        return run(self._core.introductions(timeout))

    def status(self) -> Status:
        """How this node is: its contacts, records, requests and so on.

        >>> dht.status().replication
        20
        """
        return run(self._core.status())

    def lookup(self, key: Key) -> Lookup:
        """Looks up the nodes closest to a key, and tells every request it took.

        >>> dht.lookup("colour").trace
        []
        """
        return run(self._core.lookup(key))

    # Life.

    def close(self, timeout: float = LEAVE_TIMEOUT_S) -> int:
        """Hands over what others lack, says goodbye and stops; tells how many records were handed over.

        Closing twice is no error. An interpreter that exits closes its nodes by itself, within a second in all.

        >>> node = kadmap.DHT("127.0.0.1", 0)
        >>> node.close()
        0
        >>> node["colour"]  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        kadmap...Stopped: ...
        """
        if self.closed:
            return 0
        try:
            return run(self._core.leave(timeout))
        except Stopped:
            return 0
        finally:
            self.stop()

    def __enter__(self: T) -> T:
        return self

    def __exit__(
        self, kind: Optional[type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return self._describe("kadmap.DHT")

    def _drive(self, steps: Steps[T]) -> T:
        return drive(steps, run)
