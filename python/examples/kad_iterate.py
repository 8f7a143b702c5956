"""Iterating yields the names that were stored.

Prints:

    one 1
    three 3
    two 2
"""

from kad import DHT

dht = DHT("localhost", 3215)

dht["one"] = 1
dht["two"] = 2
dht["three"] = 3

for key in sorted(dht, key=str):
    print(key, dht[key])
