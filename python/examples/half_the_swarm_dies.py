"""A swarm for tests, of which half is killed: every key is still found.

Prints:

    100 of 100 found by 8 of 16 nodes
"""

from kadmap.testing import swarm

with swarm(16) as nodes:
    for number in range(100):
        nodes[number % 16][number] = {"number": number}
    for node in nodes[8:]:
        node.stop()
    found = sum(nodes[number % 8][number] == {"number": number} for number in range(100))
    print(found, "of 100 found by 8 of 16 nodes")
