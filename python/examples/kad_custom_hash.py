"""A hash function of one's own: names of one family live together, and stay distinct.

Prints:

    True
    Ann ann@example.org
"""

from kad import DHT

dht = DHT("localhost", 3213, hash_function=lambda name: name[0:4])

dht["ann/name"] = "Ann"
dht["ann/mail"] = "ann@example.org"

print(dht.hash_function("ann/name") == dht.hash_function("ann/mail"))
print(dht["ann/name"], dht["ann/mail"])
