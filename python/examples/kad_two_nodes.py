"""Two nodes share a map, in the manner of kad.py: a blocking read, and one whose result a thread hands over.

Prints:

    ['written', 'on', 1, 'node']
    ['written', 'on', 1, 'node']
    KeyError: 'nothing'
    None
"""

from kad import DHT

first_host, first_port = "localhost", 3210
first = DHT(first_host, first_port)
second = DHT("localhost", 3211, seeds=[(first_host, first_port)])

first["sentence"] = ["written", "on", 1, "node"]

print(second["sentence"])
second.get_sync("sentence", lambda value: print(value))

try:
    second["nothing"]
except KeyError as error:
    print("KeyError:", error)
second.get("nothing", lambda value: print(value))
