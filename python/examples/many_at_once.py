"""asyncio: thousands of operations in flight on one loop.

Prints:

    5000 squares, the last 24990001
    timed out and went on
"""

import asyncio

from kadmap import aio


async def main() -> None:
    async with aio.DHT("127.0.0.1", 0) as one, aio.DHT("127.0.0.1", 0, seeds=[one.address]) as other:
        await asyncio.gather(*(one.set(number, number**2) for number in range(5000)))
        squares = await asyncio.gather(*(other[number] for number in range(5000)))
        print(len(squares), "squares, the last", squares[-1])

        try:
            await asyncio.wait_for(read_for_ever(other), 0.05)
        except asyncio.TimeoutError:
            print("timed out and went on")


async def read_for_ever(dht: aio.DHT) -> None:
    while True:
        await dht.get("colour")


asyncio.run(main())
