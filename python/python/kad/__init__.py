"""kad.py's API on kadmap: programs written for kad.py run unchanged.

>>> from kad import DHT
>>> with DHT("localhost", 0) as dht:
...     dht["ciao"] = "mondo"
...     [(key, dht[key]) for key in dht]
[('ciao', 'mondo')]

`from kad import *` binds `DHT` and `kad`, with `kad.DHTRequestHandler`; `import kad` has all of it too.
What is new here is in `kadmap`, and every `kad.DHT` has a `kadmap.DHT` inside: `dht.dht`.
"""

from kad import hashing, kad, storage
from kad.handler import DHTRequestHandler
from kad.kad import DHT
from kad.peer import Peer

__all__ = ["DHT", "DHTRequestHandler", "Peer", "hashing", "kad", "storage"]
