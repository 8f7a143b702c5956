"""A guard sees what arrives before it counts.

Prints:

    put by this node: 'red'
    vetoed
"""

from typing import Any, Optional

import kadmap


class NoNumbers:
    kinds = ("store",)

    def message(self, kind: str, message: dict[str, Any]) -> Optional[dict[str, Any]]:
        if isinstance(message["value"], int):
            return None
        own = message["peer_addr"] is None
        print(message["operation"], "by this node:" if own else "by another:", repr(message["value"]))
        return message


with kadmap.DHT("127.0.0.1", 0, guard=NoNumbers()) as dht:
    dht["colour"] = "red"
    try:
        dht["number"] = 5
    except kadmap.Refused:
        print("vetoed")
