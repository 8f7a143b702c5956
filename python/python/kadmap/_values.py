"""Values of the user and the pairs (kind, data) in which they travel: JSON as text, or bytes."""

from __future__ import annotations

import json
from typing import Any, NoReturn

Pair = tuple[str, Any]


def _refuse(value: object) -> NoReturn:
    kind = type(value).__name__
    if isinstance(value, (bytes, bytearray, memoryview)):
        raise TypeError(
            f"{kind} inside a list or dict is not JSON: store it under a key of its own, append it as an item of its "
            "own, or write it as text (base64.b64encode(data).decode())"
        )
    if isinstance(value, (set, frozenset)):
        raise TypeError(f"a {kind} is not JSON: store it as a list (sorted(value))")
    raise TypeError(
        f"a value of type {kind} is not JSON: store what json.dumps() takes, or bytes (pickle.dumps(value))"
    )


_compact = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_refuse)
_escaped = json.JSONEncoder(ensure_ascii=True, allow_nan=False, separators=(",", ":"), default=_refuse)


def encode(value: Any) -> Pair:
    """The pair of a value; TypeError, before anything travels, for what cannot be kept exactly.

    As with the json module a tuple comes back as a list, and keys of a dict that are int, float, bool or None come
    back as str.
    """
    if isinstance(value, (bytes, bytearray, memoryview)):
        return "bytes", bytes(value)
    try:
        text = _compact.encode(value)
    except RecursionError:
        raise TypeError("the value is nested too deeply for JSON") from None
    except ValueError as error:
        # NaN, infinities, cycles, and ints beyond sys.set_int_max_str_digits().
        raise TypeError(f"the value is not JSON: {error}") from None
    return "json", text if text.isascii() else _writable(text, value)


def encode_mixed(value: Any) -> Pair:
    """As `encode`, but of what `decode` made: a list or dict may have bytes at its first level."""
    try:
        return encode(value)
    except TypeError:
        if isinstance(value, list):
            return "list", [encode(item) for item in value]
        if isinstance(value, dict):
            return "map", {field: encode(item) for field, item in value.items()}
        raise


def _writable(text: str, value: Any) -> str:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        # A lone surrogate has no UTF-8, but JSON can escape it; a pair of them would come back as one character.
        escaped = _escaped.encode(value)
        if _compact.encode(json.loads(escaped)) != text:
            raise TypeError("the value has pairs of surrogates, which JSON reads as one character") from None
        return escaped
    return text


def decode(pair: Pair) -> Any:
    """The value of a pair."""
    kind, data = pair
    if kind == "json":
        return json.loads(data)
    if kind == "bytes":
        return data
    if kind == "list":
        return [decode(item) for item in data]
    return {field: decode(value) for field, value in data.items()}
