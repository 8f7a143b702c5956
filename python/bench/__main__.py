"""kadmap against `kademlia` from PyPI, in one run on one machine: `python bench` (after `pip install -r bench/requirements.txt`).

32 nodes on loopback, values of 100 bytes, each system with its defaults: both keep 20 copies.
Reads are of keys of which the reading node holds no copy, so that every one of them goes over the network.
"""

from __future__ import annotations

import argparse
import platform
import sys
from collections.abc import Callable

import forms
from measure import Figures, Load


def puts_ratio(ours: Figures, theirs: Figures) -> float:
    """How many times as many puts a second."""
    return ours.puts_per_s / theirs.puts_per_s


def gets_ratio(ours: Figures, theirs: Figures) -> float:
    """How many times as many gets a second."""
    return ours.gets_per_s / theirs.gets_per_s


def put_p50_ratio(ours: Figures, theirs: Figures) -> float:
    """How many times faster a put is."""
    return theirs.put_p50_ms / ours.put_p50_ms


# `kademlia` acknowledges nothing and believes the first answer. Its reads are compared with those of ours that promise
# as little, and beside them with those that ask a quorum.
BARS: list[tuple[str, str, Callable[[Figures, Figures], float], float]] = [
    ("puts a second", "kadmap.DHT", puts_ratio, 10.0),
    ("puts a second", "kadmap.aio", puts_ratio, 10.0),
    ("put p50, one at a time", "kadmap.DHT", put_p50_ratio, 4.0),
    ("put p50, one at a time", "kadmap.aio", put_p50_ratio, 4.0),
    ("gets a second", "DHT, one", gets_ratio, 3.0),
    ("gets a second", "aio, one", gets_ratio, 3.0),
    ("gets a second", "kadmap.DHT", gets_ratio, 3.0),
    ("gets a second", "kadmap.aio", gets_ratio, 3.0),
]


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--nodes", type=int, default=32, help="nodes of each swarm (32)")
    parser.add_argument("--sequential", type=int, default=300, help="operations one at a time (300)")
    parser.add_argument("--gets", type=int, default=8000, help="gets with 64 in flight (8000)")
    parser.add_argument("--puts", type=int, default=1000, help="puts with 64 in flight (1000)")
    options = parser.parse_args()
    systems: dict[str, Callable[..., Figures]] = {
        "kadmap.DHT": forms.blocking,
        "kadmap.aio": forms.asynchronous,
        "DHT, one": forms.blocking_one,
        "aio, one": forms.asynchronous_one,
        "kademlia": forms.kademlia,
    }
    print(f"{options.nodes} nodes, Python {platform.python_version()}, {platform.machine()}")
    figures = {}
    for name, measure in systems.items():
        figures[name] = measure(options.nodes, Load(options.sequential, options.gets, options.puts))
    table(figures)
    return bars(figures)


def table(figures: dict[str, Figures]) -> None:
    theirs = figures["kademlia"]
    print()
    print("| | " + " | ".join(figures) + " | ratios |")
    print("|---|" + "---|" * (len(figures) + 1))
    for row in theirs.rows():
        cells = [one.rows()[row] for one in figures.values()]
        ratios = [
            ratio(one.rows()[row], theirs.rows()[row], row) for name, one in figures.items() if name != "kademlia"
        ]
        print(f"| {row} | " + " | ".join(f"{cell:,.3g}" if cell < 100 else f"{cell:,.0f}" for cell in cells), end="")
        print(" | " + ", ".join(f"{one:.1f}" for one in ratios) + " |")
    print("| writes failed and reads in vain | " + " | ".join(str(one.lost) for one in figures.values()) + " | |")


def ratio(ours: float, theirs: float, row: str) -> float:
    """How many times better ours is; times are better when smaller."""
    return theirs / ours if row.endswith("ms") else ours / theirs


def bars(figures: dict[str, Figures]) -> int:
    print()
    missed = 0
    for name, form, compare, bar in BARS:
        reached = compare(figures[form], figures["kademlia"])
        missed += reached < bar
        print(
            f"{'reached' if reached >= bar else 'MISSED '} {form}: {name}: {reached:.1f} times better, bar {bar:.0f}"
        )
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
