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
from kadmap._results import ABSENT, Introduction, Reading
from kadmap._watch import Change, Watch

__all__ = [
    "ABSENT",
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
    "ListenError",
    "Lookup",
    "Name",
    "OperationTimeout",
    "Peer",
    "PutError",
    "PutResult",
    "Reading",
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
