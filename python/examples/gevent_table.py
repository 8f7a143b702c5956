"""Two tables of one network, in the manner of gevent_dht: lists that grow, and None for what is not there.

Prints:

    [1, 2, 3]
    [1, 2, 3, 4]
    ['made by append']
    None
"""

import gevent_dht

table = gevent_dht.distributedHashTable(None, local_port=8350, local_ip="127.0.0.1")
table["numbers"] = [1, 2, 3]
print(table["numbers"])

table.append("numbers", 4)
table.append("new", "made by append")

other = gevent_dht.distributedHashTable("127.0.0.1:8350", local_port=8351, local_ip="127.0.0.1")
print(other["numbers"])
print(other["new"])
print(other["nothing"])
