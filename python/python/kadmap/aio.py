"""The same map for asyncio: `kadmap.aio.DHT`, with thousands of operations in flight on one loop.

>>> import asyncio
>>> from kadmap import aio
>>> async def main():
...     async with aio.DHT("127.0.0.1", 0) as dht:
...         await asyncio.gather(*(dht.set(number, number**2) for number in range(1000)))
...         return await dht[12]
>>> asyncio.run(main())
144
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Generator, Iterable, Mapping
from types import TracebackType
from typing import Any, Optional, TypeVar, Union

from kadmap._addresses import DEFAULT_PORT, Address
from kadmap._aio_watch import Watch
from kadmap._call import Call, Steps, as_is
from kadmap._filter import Guard
from kadmap._handle import JOIN_TIMEOUT_S, LEAVE_TIMEOUT_S, Handle
from kadmap._hash import HashFunction
from kadmap._kadmap import Announcement as RawAnnouncement
from kadmap._kadmap import Lookup, Peer, PutResult, Status, Stopped
from kadmap._keys import Key
from kadmap._lists import ListItem, Moment, Provider
from kadmap._loops import LoopReader, reader_of
from kadmap._results import Introduction, Reading
from kadmap._settings import Consistency, DataDir, Durability, Pki, Settings

__all__ = ["Announcement", "DHT"]

T = TypeVar("T")

_NO_DEFAULT: Any = object()


class DHT(Handle):
    """A node of a swarm, and the map that the swarm shares, for asyncio.

    Takes the arguments of `kadmap.DHT` and starts when it is awaited or entered: `dht = await DHT(...)` or
    `async with DHT(...) as dht`.
    The methods are those of `kadmap.DHT`, to be awaited, with the same results and exceptions.
    What cannot be awaited has a method: `await dht.set(key, value)` for `dht[key] = value`, `await dht.delete(key)` for
    `del dht[key]`, `await dht.contains(key)` for `key in dht`, `await dht.names()` or `async for key in dht` for iteration.

    Cancelling a task ends its operation at once; a write that has begun may have reached some replicas.
    A handle may be used on several loops; each has a mailbox of its own, which goes with the last handle closed on it.
    """

    _reader: Optional[LoopReader] = None

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

    async def start(self) -> DHT:
        """Starts the node, joins, and returns the handle once it serves; a second start does nothing.

        >>> async def main():
        ...     dht = await aio.DHT("127.0.0.1", 0).start()
        ...     await dht.close()
        >>> asyncio.run(main())
        """
        if self._core_or_none is None:
            core = self._opened(await self._run(self._settings.start()))
            try:
                await self._drive(core.restore())
            except BaseException:
                self.stop()
                raise
        return self

    def __await__(self) -> Generator[Any, None, DHT]:
        return self.start().__await__()

    # One key, in the whole swarm.

    async def __getitem__(self, key: Key) -> Any:
        """`await dht[key]`: the value under a key; KeyError, which names the key, when there is none."""
        return await self._run(self._core.value(key))

    async def get(
        self,
        key: Key,
        default: Any = None,
        timeout: Optional[float] = None,
        consistency: Optional[Consistency] = None,
    ) -> Any:
        """The value under a key, or the default when there is none."""
        return await self._run(self._core.get(key, default, timeout, consistency))

    async def read(
        self, key: Key, timeout: Optional[float] = None, consistency: Optional[Consistency] = None
    ) -> Reading:
        """The value under a key with its version, and how many replicas answered."""
        return await self._run(self._core.read(key, timeout, consistency))

    async def contains(self, key: Key) -> bool:
        """Whether there is a value under a key, anywhere in the swarm."""
        return await self._run(self._core.contains(key))

    async def set(
        self,
        key: Key,
        value: Any,
        ttl: Optional[float] = None,
        timeout: Optional[float] = None,
        consistency: Optional[Consistency] = None,
    ) -> PutResult:
        """Stores a value under a key, for `ttl` seconds or for ever, and tells which replicas have it."""
        return await self._run(self._core.put(key, value, ttl, timeout, consistency, None))

    async def put_if_version(
        self,
        key: Key,
        value: Any,
        version: str,
        ttl: Optional[float] = None,
        timeout: Optional[float] = None,
        consistency: Optional[Consistency] = None,
    ) -> PutResult:
        """Stores a value if the record is still at the version that `read` or a write told; else Conflict."""
        return await self._run(self._core.put(key, value, ttl, timeout, consistency, version))

    async def append(
        self,
        key: Key,
        item: Any,
        ttl: Optional[float] = None,
        timeout: Optional[float] = None,
        consistency: Optional[Consistency] = None,
    ) -> PutResult:
        """Adds an item to the list under a key, which comes to be if nothing is there.

        >>> async def main():
        ...     async with aio.DHT("127.0.0.1", 0) as dht:
        ...         await asyncio.gather(*(dht.append("list", item) for item in range(100)))
        ...         return len(await dht["list"])
        >>> asyncio.run(main())
        100
        """
        return await self._run(self._core.append(key, item, ttl, timeout, consistency))

    async def put_field(
        self,
        key: Key,
        field: str,
        value: Any,
        ttl: Optional[float] = None,
        timeout: Optional[float] = None,
        consistency: Optional[Consistency] = None,
    ) -> PutResult:
        """Writes one field of the dict under a key, which comes to be if nothing is there."""
        return await self._run(self._core.put_field(key, field, value, ttl, timeout, consistency))

    async def delete_field(
        self,
        key: Key,
        field: str,
        timeout: Optional[float] = None,
        consistency: Optional[Consistency] = None,
    ) -> PutResult:
        """Removes one field of the dict under a key. That it was not there is no error."""
        return await self._run(self._core.delete_field(key, field, timeout, consistency))

    async def delete(
        self, key: Key, timeout: Optional[float] = None, consistency: Optional[Consistency] = None
    ) -> PutResult:
        """Removes whatever is under a key. That nothing was there is no error."""
        return await self._run(self._core.delete(key, timeout, consistency))

    async def pop(self, key: Key, default: Any = _NO_DEFAULT) -> Any:
        """Removes a key and returns its value, or the default, or KeyError."""
        try:
            return await self._drive(self._core.take(key))
        except KeyError:
            if default is _NO_DEFAULT:
                raise
            return default

    async def setdefault(self, key: Key, default: Any = None) -> Any:
        """The value under a key; if there is none, the default is stored and returned, unless another is first."""
        return await self._drive(self._core.set_default(key, default))

    async def update(self, values: Mapping[Any, Any]) -> None:
        """Stores many values, all at the same time."""
        await asyncio.gather(*(self.set(key, value) for key, value in values.items()))

    # Lists and announcements.

    async def items(
        self,
        key: Key,
        after: Optional[str] = None,
        timeout: Optional[float] = None,
        consistency: Optional[Consistency] = None,
    ) -> AsyncIterator[ListItem]:
        """`async for item in dht.items(key)`: over the elements of a list with their ids, a page at a time.

        >>> async def main():
        ...     async with aio.DHT("127.0.0.1", 0) as dht:
        ...         await dht.append("list", "item")
        ...         return [item.value async for item in dht.items("list")]
        >>> asyncio.run(main())
        ['item']
        """
        next_page = self._core.item_pages(key, after, timeout, consistency)
        while (call := next_page()) is not None:
            for item in await self._run(call):
                yield item

    async def remove(
        self, key: Key, id: str, timeout: Optional[float] = None, consistency: Optional[Consistency] = None
    ) -> PutResult:
        """Removes one item of the list under a key, by its id; NoSuchItem when it is not there."""
        return await self._run(self._core.remove(key, id, timeout, consistency))

    async def trim(
        self,
        key: Key,
        keep: Optional[int] = None,
        before: Optional[Moment] = None,
        up_to: Optional[str] = None,
        timeout: Optional[float] = None,
        consistency: Optional[Consistency] = None,
    ) -> Optional[PutResult]:
        """Drops the oldest of the list under a key; None if there was nothing to drop."""
        return await self._run(self._core.trim(key, keep, before, up_to, timeout, consistency))

    async def announce(
        self,
        key: Key,
        payload: Any = None,
        ttl: Optional[float] = None,
        id: Optional[str] = None,
        timeout: Optional[float] = None,
        consistency: Optional[Consistency] = None,
    ) -> Announcement:
        """Says under a key that this node (or the one of the `id`) has it, and renews that until it is stopped."""
        raw = await self._run(self._core.announce(key, payload, ttl, id, timeout, consistency))
        return Announcement(self, raw)

    async def announce_once(
        self,
        key: Key,
        payload: Any = None,
        ttl: Optional[float] = None,
        id: Optional[str] = None,
        timeout: Optional[float] = None,
        consistency: Optional[Consistency] = None,
    ) -> PutResult:
        """Announces as `announce` does, without renewing it."""
        return await self._run(self._core.announce_once(key, payload, ttl, id, timeout, consistency))

    async def withdraw(
        self,
        key: Key,
        id: Optional[str] = None,
        timeout: Optional[float] = None,
        consistency: Optional[Consistency] = None,
    ) -> PutResult:
        """Withdraws what was announced once. That nothing was is no error."""
        return await self._run(self._core.withdraw(key, id, timeout, consistency))

    async def providers(
        self, key: Key, timeout: Optional[float] = None, consistency: Optional[Consistency] = None
    ) -> list[Provider]:
        """Who is announced under a key, each once; only those whose time is not over."""
        return await self._run(self._core.providers(key, timeout, consistency))

    # Keys of which this node holds a replica.

    async def names(self) -> list[Key]:
        """The keys of which this node holds a replica."""
        return await self._run(self._core.names())

    async def __aiter__(self) -> AsyncIterator[Key]:
        """`async for key in dht`: over the keys of which this node holds a replica."""
        for key in await self.names():
            yield key

    # The swarm.

    async def scan(self) -> AsyncIterator[Key]:
        """`async for key in dht.scan()`: over all keys of the swarm, in no particular order, each once.

        >>> async def main():
        ...     async with aio.DHT("127.0.0.1", 0) as dht:
        ...         await dht.update({"a": 1, "b": 2})
        ...         return sorted([key async for key in dht.scan()])
        >>> asyncio.run(main())
        ['a', 'b']
        """
        next_page = self._core.pages()
        while (page := await self._run(next_page())) is not None:
            for key in page:
                yield key

    def watch(self, key: Key, *, initial: bool = True, timeout: Optional[float] = None) -> Watch:
        """`async for change in dht.watch(key)`: the changes of a key as they happen; see `kadmap.DHT.watch`.

        >>> async def main():
        ...     async with aio.DHT("127.0.0.1", 0) as dht, dht.watch("colour") as changes:
        ...         await dht.set("colour", "red")
        ...         return [(await anext(changes)).kind for _ in range(2)]
        >>> asyncio.run(main())
        ['state', 'put']
        """
        return Watch(self._run, self._core.watch(key, initial, timeout))

    async def names_at(self, place: int) -> list[Key]:
        """The keys of the whole swarm that live at exactly this place; see `place` and `hash_function`."""
        return await self._run(self._core.names_at(place))

    async def join(self, seeds: Iterable[Address], timeout: float = JOIN_TIMEOUT_S) -> None:
        """Joins by further members, for example to bring two swarms together; JoinError when none answers."""
        await self._run(self._core.join(seeds, timeout))

    async def peers(self) -> list[Peer]:
        """The nodes that this node knows, as it sees them."""
        return await self._run(self._core.peers())

    async def introductions(self, timeout: float = 1.0) -> list[Introduction]:
        """Asks every live peer for the `id` and `info` it was made with."""
        return await self._run(self._core.introductions(timeout))

    async def status(self) -> Status:
        """How this node is: its contacts, records, requests and so on."""
        return await self._run(self._core.status())

    async def lookup(self, key: Key) -> Lookup:
        """Looks up the nodes closest to a key, and tells every request it took."""
        return await self._run(self._core.lookup(key))

    # Life.

    async def close(self, timeout: float = LEAVE_TIMEOUT_S) -> int:
        """Hands over what others lack, says goodbye and stops; tells how many records were handed over."""
        try:
            if self._core_or_none is None or self.closed:
                return 0
            return await self._run(self._core.leave(timeout))
        except Stopped:
            return 0
        finally:
            self.stop()
            reader_of(asyncio.get_running_loop()).leave(self)

    async def __aenter__(self) -> DHT:
        return await self.start()

    async def __aexit__(
        self, kind: Optional[type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        await self.close()

    def __setitem__(self, key: Key, value: Any) -> None:
        """Says what to do instead: an assignment cannot be awaited."""
        raise TypeError("an assignment cannot be awaited: use 'await dht.set(key, value)'")

    def __delitem__(self, key: Key) -> None:
        """Says what to do instead: a 'del' cannot be awaited."""
        raise TypeError("'del' cannot be awaited: use 'await dht.delete(key)'")

    def __contains__(self, key: Key) -> bool:
        """Says what to do instead: an 'in' cannot be awaited."""
        raise TypeError("'in' cannot be awaited: use 'await dht.contains(key)'")

    def __repr__(self) -> str:
        return self._describe("kadmap.aio.DHT")

    async def _run(self, call: Call[T]) -> T:
        loop = asyncio.get_running_loop()
        mailbox = self._reader_on(loop).mailbox
        future: asyncio.Future[Any] = loop.create_future()
        token, operation = mailbox.start(call, future)
        try:
            return call.finish(await future)
        except asyncio.CancelledError:
            mailbox.abandon(token, operation)
            raise

    def _reader_on(self, loop: asyncio.AbstractEventLoop) -> LoopReader:
        reader = self._reader
        if reader is None or not reader.serves(loop):
            reader = self._reader = reader_of(loop)
            reader.used_by(self)
        return reader

    async def _drive(self, steps: Steps[T]) -> T:
        try:
            call = next(steps)
            while True:
                try:
                    result = await self._run(call)
                except Exception as error:
                    call = steps.throw(error)
                else:
                    call = steps.send(result)
        except StopIteration as stop:
            value: T = stop.value
            return value


class Announcement:
    """An announcement that is renewed until it is stopped, dropped, or its node ends.

    >>> async def main():
    ...     async with aio.DHT("127.0.0.1", 0) as dht:
    ...         async with await dht.announce("model", 7):
    ...             return [provider.payload for provider in await dht.providers("model")]
    >>> asyncio.run(main())
    [7]
    """

    def __init__(self, dht: DHT, raw: RawAnnouncement) -> None:
        self._dht = dht
        self._raw = raw

    @property
    def id(self) -> str:
        """Who is announced, in hexadecimal."""
        return self._raw.id

    async def stop(self) -> Optional[PutResult]:
        """Ends the renewals and withdraws the announcement; None when it has ended before."""
        stop: Call[Optional[PutResult]] = Call(self._raw.stop, (), {}, as_is)
        return await self._dht._run(stop)

    async def __aenter__(self) -> Announcement:
        return self

    async def __aexit__(
        self, kind: Optional[type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        await self.stop()

    def __repr__(self) -> str:
        return f"<kadmap.aio.Announcement of {self.id[:16]}>"
