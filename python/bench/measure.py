"""Figures of one system."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

IN_FLIGHT = 64
VALUE = "x" * 100


@dataclass(frozen=True)
class Load:
    """How many operations of each kind."""

    sequential: int
    """Puts one at a time, then gets of those keys that the reader does not hold."""
    gets: int
    """With 64 in flight, of the same keys."""
    puts: int
    """With 64 in flight."""


@dataclass
class Figures:
    """Times of single operations, and rates with many in flight."""

    put_s: list[float] = field(default_factory=list)
    get_s: list[float] = field(default_factory=list)
    puts_per_s: float = 0.0
    gets_per_s: float = 0.0
    lost: int = 0
    """Writes that failed, and reads that did not find what had been written."""

    @property
    def put_p50_ms(self) -> float:
        return percentile_ms(self.put_s, 50)

    def rows(self) -> dict[str, float]:
        """What the table shows."""
        return {
            "put p50, ms": percentile_ms(self.put_s, 50),
            "put p99, ms": percentile_ms(self.put_s, 99),
            "get p50, ms": percentile_ms(self.get_s, 50),
            "get p99, ms": percentile_ms(self.get_s, 99),
            "puts a second, 64 in flight": self.puts_per_s,
            "gets a second, 64 in flight": self.gets_per_s,
        }


def percentile_ms(times_s: list[float], percent: int) -> float:
    """The time within which so many percent of operations ended."""
    ordered = sorted(times_s)
    return 1000 * ordered[min(len(ordered) - 1, len(ordered) * percent // 100)]


class Stopwatch:
    """Seconds since it was made."""

    def __init__(self) -> None:
        self._begun = time.perf_counter()

    def s(self) -> float:
        return time.perf_counter() - self._begun
