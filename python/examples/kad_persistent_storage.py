"""Records in a shelf: run it twice, and the second run counts on. The shelf itself holds names and plain values.

Prints:

    runs: 1
"""

import shelve

from kad import DHT

dht = DHT("localhost", 3212, storage=shelve.open("runs.shelf"))

try:
    dht["runs"] += 1
except KeyError:
    dht["runs"] = 1
print("runs:", dht["runs"])
