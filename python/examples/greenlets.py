"""gevent, without monkey patching: while one greenlet waits for the swarm, the others run.

Prints:

    1000 items of 100 greenlets
"""

import gevent

import kadmap

with kadmap.DHT("127.0.0.1", 0) as dht:

    def work(greenlet: int) -> None:
        for number in range(10):
            dht.append("list", [greenlet, number])

    gevent.joinall([gevent.spawn(work, number) for number in range(100)], raise_error=True)
    print(len(dht["list"]), "items of 100 greenlets")
