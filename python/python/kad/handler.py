"""The request handler: what arrives at a node, for a subclass to see, change or veto."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NoReturn, Optional

from kadmap._keys import decode

if TYPE_CHECKING:
    from kad.kad import DHT

Message = dict[str, Any]

_HOOKS = {
    "ping": "handle_ping",
    "pong": "handle_pong",
    "find": "handle_find",
    "found_nodes": "handle_found_nodes",
    "found_value": "handle_found_value",
    "store": "handle_store",
}
_WHOLE = ("__init__", "setup", "handle", "finish")
"""A subclass that overrides one of these wants to see every message."""
_KIND_OF_TYPE = {"find_node": "find", "find_value": "find"}


class _NoSocket:
    """In the place of kad.py's UDP socket: this network is encrypted and its nodes answer by themselves."""

    def sendto(self, *_: object) -> NoReturn:
        raise OSError("a request handler cannot send by itself here: return, and the node answers")


class Request:
    """What kad.py's handlers find in `self.request`: the message as bytes of JSON, and a socket."""

    def __init__(self, message: Message) -> None:
        self.message = message

    def __getitem__(self, index: int) -> Any:
        return tuple(self)[index]

    def __len__(self) -> int:
        return 2

    def __iter__(self) -> Iterator[Any]:
        yield json.dumps(self.message, default=repr).encode()
        yield _NoSocket()


class Server:
    """What kad.py's handlers find in `self.server`."""

    def __init__(self, dht: DHT, server_address: tuple[str, int]) -> None:
        self.dht = dht
        self.server_address = server_address


class DHTRequestHandler:
    """Sees every message that arrives at a node; subclasses override the hooks they want.

    A message is a dict with `message_type`, `id` (the place), `value`, `peer_id`, `peer_info` and `rpc_id`; here also
    `name` (the key) where a message is about one.
    A hook lets a message through by calling the hook of this class, with the message it wants to count: the one that
    came, or a changed one.
    A hook that does not call it vetoes the message.
    One that raises vetoes too, and its traceback goes to the log of kadmap.
    Only overridden hooks are called, so a handler that overrides nothing costs nothing.

    `handle_store` is called for every record that this node is asked to keep, its own included; `operation` says
    whether it is a "put", an "append", a "delete" and so on.
    `self.server.dht`, `self.client_address` and `self.request` are as in kad.py.
    A hook runs on the node's thread: reading or writing the DHT in it needs a thread of its own.
    """

    _accepted: Optional[Message] = None

    def __init__(self, request: Any, client_address: tuple[str, int], server: Any) -> None:
        self.request = request
        self.client_address = client_address
        self.server = server
        self.setup()
        try:
            self.handle()
        finally:
            self.finish()

    def setup(self) -> None:
        """Called before `handle`."""

    def handle(self) -> None:
        """Calls the hook of the message's kind."""
        message = self.request.message
        message_type = message["message_type"]
        hook = getattr(self, _HOOKS[_KIND_OF_TYPE.get(message_type, message_type)])
        if message_type == "find_value" and _takes_find_value(hook):
            hook(message, find_value=True)
        else:
            hook(message)

    def finish(self) -> None:
        """Called after `handle`."""

    def handle_ping(self, message: Message) -> None:
        """Somebody asks whether this node is there."""
        self._accepted = message

    def handle_pong(self, message: Message) -> None:
        """Somebody answers that it is there."""
        self._accepted = message

    def handle_find(self, message: Message, find_value: bool = False) -> None:
        """Somebody looks for nodes close to a place, or for a value."""
        self._accepted = message

    def handle_found_nodes(self, message: Message) -> None:
        """Somebody answers with nodes."""
        self._accepted = message

    def handle_found_value(self, message: Message) -> None:
        """Somebody answers with a value."""
        self._accepted = message

    def handle_store(self, message: Message) -> None:
        """This node is asked to keep a record."""
        self._accepted = message


def _takes_find_value(hook: Any) -> bool:
    parameters = inspect.signature(hook).parameters.values()
    return any(
        parameter.name == "find_value" or parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters
    )


def _type_of(kind: str, message: Message) -> str:
    """The type as kad.py had it, which told the two ways of finding apart."""
    if kind == "find":
        return "find_value" if "name" in message else "find_node"
    return kind


def kinds_of(handler: type[DHTRequestHandler]) -> frozenset[str]:
    """The kinds of messages for which a handler overrides something."""

    def overrides(name: str) -> bool:
        return getattr(handler, name, None) is not getattr(DHTRequestHandler, name)

    if any(overrides(name) for name in _WHOLE):
        return frozenset(_HOOKS)
    return frozenset(kind for kind, name in _HOOKS.items() if overrides(name))


class HandlerGuard:
    """A guard of kadmap's that asks a request handler of kad.py's."""

    _CHANGEABLE = ("id", "value", "rpc_id")

    def __init__(self, server: Server, handler: type[DHTRequestHandler]) -> None:
        self.kinds = kinds_of(handler)
        self._server = server
        self._handler = handler

    def message(self, kind: str, message: Message) -> Optional[Message]:
        """One handler object for each message, as kad.py had."""
        peer_id, peer_info = self._server.dht.described(message["peer_id"])
        shown = {
            "message_type": _type_of(kind, message),
            "id": message["id"],
            "value": message["value"],
            "peer_id": peer_id,
            "peer_info": peer_info,
            "rpc_id": message["rpc_id"],
        }
        if "operation" in message:
            shown["operation"] = message["operation"]
        if "name" in message:
            shown["name"] = decode(message["name"])
        client_address = message.get("peer_addr") or self._server.server_address
        accepted = self._handler(Request(shown), client_address, self._server)._accepted
        if accepted is None:
            return None
        return {**message, **{field: accepted[field] for field in self._CHANGEABLE if field in accepted}}
