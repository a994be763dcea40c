"""`python -m tests.faults.provider`: the hostile upstream as a program, which prints its port.

The field `user` of a call says what is done with it: `well`, or `<number of the fault>-<lasts or once>-<mark>`. Other
models than the first that is asked do well.
"""

import asyncio

from tests.faults import plays
from tests.faults.faults import FAULTS, Fault
from tests.faults.upstream import Exchange, hostile

MODEL = "gpt-4o-mini"
PLAYED = tuple(fault for fault in FAULTS if fault.door == "open" and fault.dialect.provider == "openai")


def user(fault: Fault, once: bool, mark: str) -> str:
    return f"{PLAYED.index(fault)}-{'once' if once else 'lasts'}-{mark}"


async def main() -> None:
    met: set[str] = set()

    async def play(exchange: Exchange) -> None:
        asked: str = exchange.body["user"]
        number, _, rest = asked.partition("-")
        if number == "well" or asked in met or exchange.body["model"] != MODEL:
            await plays.well(exchange)
            return
        if rest.startswith("once"):
            met.add(asked)
        fault = PLAYED[int(number)]
        # Nobody tells here what the client has read.
        exchange.passed_on.set()
        played = fault.streamed if exchange.streams else fault.plain
        await (played or plays.well)(exchange)

    async with hostile(play) as upstream:
        print(upstream.port, flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
