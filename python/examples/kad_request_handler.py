"""A request handler that sees what arrives, changes some of it and vetoes some.

Prints:

    asked to keep 'hello world'
    hello world
    asked to keep 'FREE MONEY'
    refused
"""

from typing import Any

import kadmap
from kad import *


class Tidy(kad.DHTRequestHandler):
    def handle_store(self, message: dict[str, Any]) -> None:
        print("asked to keep", repr(message["value"].strip()))
        if "MONEY" in message["value"]:
            return
        message["value"] = message["value"].strip()
        super().handle_store(message)


dht = DHT("localhost", 3214, requesthandler=Tidy)

dht["greeting"] = "  hello world "
print(dht["greeting"])
try:
    dht["advert"] = "FREE MONEY"
except kadmap.PutError:
    print("refused")
