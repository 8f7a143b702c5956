"""The settings of a node, checked, as the extension takes them."""

from __future__ import annotations

import json
import os
from typing import Any, Literal, Optional, Union
from collections.abc import Iterable

from kadmap import _values
from kadmap._addresses import Address, listen_address, seed_addresses
from kadmap._call import Call, as_is
from kadmap._filter import Filter, Guard
from kadmap._hash import HashFunction
from kadmap._kadmap import Node, SettingError
from kadmap._log import follow_level
from kadmap._storage import UserStorage, adapted

Consistency = Literal["one", "quorum", "all"]
Durability = Literal["replicated", "synced"]
DataDir = Union[str, "os.PathLike[str]"]
Pki = tuple[str, str, str]

_INFO_FIELDS = frozenset({"id", "info"})


class Settings:
    """What a user said when making a DHT; `DHT` documents each."""

    def __init__(
        self,
        host: str,
        port: int,
        seeds: Iterable[Address],
        storage: Any,
        data_dir: Optional[DataDir],
        secret: Union[str, bytes, None],
        hash_function: Optional[HashFunction],
        id: Optional[int],
        info: Any,
        replication: Optional[int],
        consistency: Optional[Consistency],
        guard: Optional[Guard],
        pki: Optional[Pki],
        durability: Optional[Durability],
        value_bytes_max: Optional[int],
        record_bytes_max: Optional[int],
        operation_timeout: Optional[float],
        join_timeout: Optional[float],
        join_retry: bool,
        client: bool,
        packet_loss: float,
        scrub_interval: Optional[float],
    ) -> None:
        if storage is not None and data_dir is not None:
            raise SettingError("storage and data_dir both keep the records: choose one of them")
        if hash_function is not None and not callable(hash_function):
            raise TypeError(f"hash_function is a function of the key, not {hash_function!r}")
        self.hash_function = hash_function
        self.storage: Optional[UserStorage] = None if storage is None else adapted(storage)
        self.id = _checked_id(id)
        self.info = info
        self._options: dict[str, Any] = {
            "listen": listen_address(host, port),
            "join": seed_addresses(seeds),
            "join_timeout": join_timeout,
            "join_retry": join_retry,
            "data_dir": None if data_dir is None else os.fspath(data_dir),
            "secret": secret.encode() if isinstance(secret, str) else secret,
            "pki": pki,
            "replication": replication,
            "consistency": consistency,
            "durability": durability,
            "scrub_interval": scrub_interval,
            "value_bytes_max": value_bytes_max,
            "record_bytes_max": record_bytes_max,
            "operation_timeout": operation_timeout,
            "info": introduction(self.id, info),
            "client": client,
            "packet_loss": packet_loss,
            "storage": self.storage,
            "guard": None if guard is None else Filter(guard),
        }

    def start(self) -> Call[Node]:
        """Starts the node, joins, and returns once it serves."""
        follow_level()
        return Call(Node.start, (), self._options, as_is)


def introduction(id: Optional[int], info: Any) -> Optional[str]:
    """What a node tells others of itself, as JSON."""
    fields = {name: value for name, value in (("id", id), ("info", info)) if value is not None}
    if not fields:
        return None
    kind, text = _values.encode(fields)
    return str(text)


def read_introduction(text: Optional[str]) -> tuple[Optional[int], Any]:
    """The id and info that a node gave itself; a node that is no Python program may say anything."""
    if not text:
        return None, None
    try:
        told = json.loads(text)
    except (ValueError, RecursionError):
        return None, text
    if not isinstance(told, dict) or not told or not _INFO_FIELDS.issuperset(told):
        return None, told
    id = told.get("id")
    if isinstance(id, bool) or not isinstance(id, int):
        id = None
    return id, told.get("info")


def _checked_id(id: Optional[int]) -> Optional[int]:
    if id is None or (isinstance(id, int) and not isinstance(id, bool)):
        return id
    raise TypeError(f"id is an int by which this node calls itself, not {id!r}")
