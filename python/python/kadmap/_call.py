"""What an operation is before anybody waits for it: the blocking form, asyncio and gevent run the same ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from collections.abc import Callable, Generator

T = TypeVar("T")


@dataclass(eq=False)
class Call(Generic[T]):
    """One call of the extension, and what to make of its result."""

    method: Callable[..., Any]
    """Takes `queue` and `token` beside the arguments: without a queue it blocks."""
    args: tuple[Any, ...]
    options: dict[str, Any]
    finish: Callable[[Any], T]


Steps = Generator[Call[Any], Any, T]
"""An operation of several calls: yields each and receives its result, or its exception where it stands."""


def as_is(result: T) -> T:
    """The result of the extension is the caller's."""
    return result


def drive(steps: Steps[T], run: Callable[[Call[Any]], Any]) -> T:
    """Runs an operation of several calls, each by `run`."""
    try:
        call = next(steps)
        while True:
            try:
                result = run(call)
            except Exception as error:
                call = steps.throw(error)
            else:
                call = steps.send(result)
    except StopIteration as stop:
        value: T = stop.value
        return value
