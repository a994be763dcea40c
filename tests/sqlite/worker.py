"""`python -m tests.sqlite.worker FOLDER NAME COUNT`: a process that writes items and adds to one counter.

It prints the number of each write that was acknowledged. COUNT 0 is no end.
"""

import asyncio
import itertools
import sys
from pathlib import Path

from tidegate.aws.expressions import Attr, Put, Update
from tidegate.aws.store import ItemKey, Store
from tidegate.sqlite.client import SqliteClient
from tidegate.sqlite.folder import DataFolder

COUNTER = ItemKey("COUNTER", "COUNTER")


async def work(folder: DataFolder, name: str, count: int) -> None:
    client = SqliteClient(folder.database)
    store = Store(client, "table", timeout_seconds=60)

    async def write(number: int) -> None:
        put = Put(store.table, {"pk": name, "sk": f"{number:08}"}, Attr("pk").does_not_exist())
        await store.write([put, Update(store.table, COUNTER._asdict(), Attr("writes").add(1))])
        print(number, flush=True)

    numbers = iter(range(count) if count else itertools.count())
    while batch := list(itertools.islice(numbers, 8)):
        await asyncio.gather(*(write(number) for number in batch))
    client.close()


if __name__ == "__main__":
    asyncio.run(work(DataFolder(Path(sys.argv[1])), sys.argv[2], int(sys.argv[3])))
