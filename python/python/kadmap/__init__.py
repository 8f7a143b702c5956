"""A map shared by a swarm of peers, with no server in the middle.

>>> import kadmap
>>> dht = kadmap.DHT("127.0.0.1", 0)
>>> dht["colour"] = "red"
>>> dht["colour"]
'red'
>>> _ = dht.close()

`kadmap.DHT` blocks (and lets greenlets run under gevent), `kadmap.aio.DHT` is for asyncio, `kadmap.testing.swarm` for
your tests, and `python -m kadmap` is the command line.
Logs go to `logging.getLogger("kadmap")`.
"""

from kadmap._announce import Announcement
from kadmap._dht import DHT
from kadmap._filter import Guard
from kadmap._kadmap import (
    Conflict,
    ForkedError,
    GetError,
    Hop,
    JoinError,
    KadmapError,
    ListenError,
    Lookup,
    NoSuchItem,
    OperationTimeout,
    Peer,
    PutError,
    PutResult,
    Refused,
    SettingError,
    StartError,
    Status,
    Stopped,
    StoreError,
    TooFewAcks,
    TooFewAnswers,
    TooLarge,
    WrongShape,
    __version__,
)
from kadmap._keys import Key, Name
from kadmap._lists import ListItem, Provider, RecordSizeWarning
from kadmap._results import ABSENT, Introduction, Reading
from kadmap._watch import Change, Watch

__all__ = [
    "ABSENT",
    "Announcement",
    "Change",
    "Conflict",
    "DHT",
    "ForkedError",
    "GetError",
    "Guard",
    "Hop",
    "Introduction",
    "JoinError",
    "KadmapError",
    "Key",
    "ListItem",
    "ListenError",
    "Lookup",
    "Name",
    "NoSuchItem",
    "OperationTimeout",
    "Peer",
    "Provider",
    "PutError",
    "PutResult",
    "Reading",
    "RecordSizeWarning",
    "Refused",
    "SettingError",
    "StartError",
    "Status",
    "Stopped",
    "StoreError",
    "TooFewAcks",
    "TooFewAnswers",
    "TooLarge",
    "Watch",
    "WrongShape",
    "__version__",
]
