"""gevent_dht's API on kadmap: programs written for gevent_dht run unchanged, and on Python 3.

>>> import gevent_dht
>>> table = gevent_dht.distributedHashTable(None, local_port=0)
>>> table["key_1"] = [1, 2, 3]
>>> table.append("key_1", 4)
>>> table["key_1"]
[1, 2, 3, 4]
>>> table["nothing"] is None
True
>>> table.close()

gevent is not required; where a program uses it, waiting lets other greenlets run.
"""

from gevent_dht.table import distributedHashTable

__all__ = ["distributedHashTable"]
