"""The main operations of `kadmap.DHT`.

Prints:

    red
    ['bread', 'cheese']
    {'ann': 3, 'bob': 5}
    acknowledged by 2 of 2
    lost the race
    ['colour', 'scores', 'shopping']
"""

import kadmap

with kadmap.DHT("127.0.0.1", 0) as first, kadmap.DHT("127.0.0.1", 0, seeds=[first.address]) as second:
    first["colour"] = "red"
    print(second["colour"])

    first.append("shopping", "bread")
    second.append("shopping", "cheese")
    print(first["shopping"])

    first.put_field("scores", "ann", 3)
    second.put_field("scores", "bob", 5)
    print(first["scores"])

    result = second.set("colour", "green", ttl=3600)
    print("acknowledged by", len(result.acks), "of", result.replicas)

    version = first.read("colour").version
    second["colour"] = "blue"
    try:
        first.put_if_version("colour", "black", version)
    except kadmap.Conflict:
        print("lost the race")

    print(sorted(str(key) for key in first.scan()))
