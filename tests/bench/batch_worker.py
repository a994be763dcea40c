"""`python -m tests.bench.batch_worker worker|loop LINES`: answer a file once, and print what it took, as JSON.

"worker" is one worker of the batch engine, in memory: it has one part after the other, and puts answers on record.
"loop" is what one would write without it: a loop over the same file with as many calls at once, over the same gateway.
"""

import asyncio
import json
import os
import resource
import sys
import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager

import msgspec
import uvloop
from msgspec.structs import replace

from tidegate.api.app import ENDPOINTS
from tidegate.batch.components import BatchComponents
from tidegate.batch.engine import Engine
from tidegate.batch.messages import RunPart, Validate
from tidegate.domain.batch import Batch, StoredFile
from tidegate.domain.keys import hash_secret
from tidegate.domain.workspace import VirtualKey, Workspace
from tidegate.gateway import Gateway
from tidegate.memory.batch_queue import MemoryBatchQueue
from tidegate.memory.batches import create_memory_batches
from tidegate.memory.world import MemoryWorld, create_memory_gateway
from tidegate.settings import Settings

WORKSPACE, KEY_ID, INPUT_KEY = "ws_bench", "key_bench", "input.jsonl"
PATH = "/v1/chat/completions"
PARALLEL_CALLS = 64


class _Line(msgspec.Struct):
    custom_id: str
    body: msgspec.Raw


def input_lines(count: int) -> bytes:
    """A file of requests of about 300 bytes."""
    text = "Write a tagline for a company that forecasts tides. " * 2
    body = {"model": "openai/gpt-4o-mini", "messages": [{"role": "user", "content": text}], "max_tokens": 100}
    lines = ({"custom_id": f"line-{n}", "method": "POST", "url": PATH, "body": body} for n in range(count))
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


async def run_worker(components: BatchComponents, queue: MemoryBatchQueue) -> int:
    """Answer all parts of the input, and return the number of answered lines. Its validation is not measured."""
    now, data = time.time(), await components.objects.read(INPUT_KEY) or b""
    file = StoredFile(
        id="file-1",
        workspace_id=WORKSPACE,
        filename="in.jsonl",
        purpose="batch",
        bytes=len(data),
        key=INPUT_KEY,
        created_at=now,
    )
    batch = Batch(
        id="batch_1",
        workspace_id=WORKSPACE,
        key_id=KEY_ID,
        endpoint=PATH,
        input_file_id=file.id,
        input_key=INPUT_KEY,
        input_bytes=len(data),
        completion_window="24h",
        created_at=now,
        expires_at=now + 86_400,
    )
    await components.table.save(file, batch)
    engine = Engine(components)
    await engine.handle(Validate(WORKSPACE, batch.id), now + 900)
    Measured.began()
    while True:
        message = await queue.receive()
        if not isinstance(message, RunPart):
            break  # the results are to be composed
        await engine.handle(message, time.time() + 900)
    stored = await components.table.find_batch(WORKSPACE, batch.id)
    return stored.usage.completed if stored is not None else 0


async def run_loop(components: BatchComponents) -> int:
    """Answer all lines of the input, and write the output; return the number of lines."""
    Measured.began()
    gateway, objects = components.gateway, components.objects
    surface, operation = ENDPOINTS[PATH]
    caller = await components.callers.find_caller(WORKSPACE, KEY_ID)
    data = await objects.read(INPUT_KEY) or b""
    lines = enumerate(data.splitlines())
    output: dict[int, bytes] = {}
    decode = msgspec.json.Decoder(_Line).decode

    async def ask_lines(lines: Iterator[tuple[int, bytes]]) -> None:
        for number, text in lines:
            line = decode(text)
            request = surface.parse(operation, bytes(line.body))
            call = gateway.new_call(*caller, surface, operation, request)
            async with gateway.answer(call) as answer:
                assert answer.reply is not None
                body = msgspec.Raw(surface.reply(answer.reply, request))
            response = {"status_code": 200, "request_id": call.id, "body": body}
            result = {"id": call.id, "custom_id": line.custom_id, "response": response, "error": None}
            output[number] = msgspec.json.encode(result)

    await asyncio.gather(*(ask_lines(lines) for _ in range(PARALLEL_CALLS)))
    await objects.put("output.jsonl", b"\n".join(output[number] for number in sorted(output)))
    return len(output)


class Measured:
    """The beginning of what is measured: the wall clock and the processor's time."""

    wall = cpu = 0.0

    @classmethod
    def began(cls) -> None:
        cls.wall, cls.cpu = time.perf_counter(), time.process_time()


@asynccontextmanager
async def _gateway() -> AsyncGenerator[tuple[MemoryWorld, Gateway]]:
    settings = Settings.from_env({**os.environ, "TIDEGATE_TABLE": "none", "AWS_REGION": "none"})
    async with MemoryWorld(settings) as world:
        await world.tenants.put_workspace(Workspace(WORKSPACE, "Bench", created_at=0))
        secret = "sk-tidegate-bench"
        await world.tenants.put_key(VirtualKey(KEY_ID, hash_secret(secret), secret, (WORKSPACE,), WORKSPACE, "bench"))
        yield world, await create_memory_gateway(world)


async def main(kind: str, count: int) -> None:
    async with _gateway() as (world, gateway):
        queue = MemoryBatchQueue()
        components = create_memory_batches(world, gateway, ENDPOINTS, queue)
        options = replace(components.options, parallel_calls=PARALLEL_CALLS)
        components = replace(components, options=options)
        await components.objects.put(INPUT_KEY, input_lines(count))
        answered = await (run_worker(components, queue) if kind == "worker" else run_loop(components))
        seconds, cpu = time.perf_counter() - Measured.wall, time.process_time() - Measured.cpu
    assert answered == count, answered
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    print(json.dumps({"lines_per_second": count / seconds, "cpu_ms": 1000 * cpu / count, "peak_mb": peak}))


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], int(sys.argv[2])))
