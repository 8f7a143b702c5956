"""64 threads on four nodes append to one list at the same time: nothing is lost, nothing doubled.

Prints:

    640 items, all different: True
"""

from concurrent.futures import ThreadPoolExecutor

from kadmap.testing import swarm

with swarm(4) as nodes:

    def write(thread: int) -> None:
        for number in range(10):
            nodes[thread % 4].append("log", f"line {number} of thread {thread}")

    with ThreadPoolExecutor(64) as pool:
        list(pool.map(write, range(64)))

    lines = nodes[0]["log"]
    print(len(lines), "items, all different:", len(set(lines)) == len(lines))
