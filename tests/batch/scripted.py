"""Parts whose states a test writes, and a worker that answers lines without a provider, by the rules of real ones.

The answer to a line tells its number. Every fifth line is answered with an error. A worker puts two answers on record
at a time; `stops_after` is the number of answers after which it hands the part back.
"""

import json
from typing import Any

from msgspec.structs import replace

from tests.batch.journals import recorded_results
from tidegate.batch.components import BatchComponents
from tidegate.batch.feeder import feed_parts
from tidegate.batch.keys import journal_key, part_errors_key, part_output_key
from tidegate.batch.lines import BatchLine, parse_line, part_lines
from tidegate.batch.messages import RunPart
from tidegate.batch.ranges import read_ranges
from tidegate.batch.results import Result, answered, journal_entry, not_asked
from tidegate.batch.transitions import change_batch
from tidegate.domain.batch import Batch, BatchUsage, Part
from tidegate.domain.ids import ulid

LEASE_SECONDS = 120.0


def answer(batch: Batch, number: int, data: bytes, components: BatchComponents) -> Result:
    """The scripted answer to a line."""
    parsed = parse_line(data, batch.endpoint, components.endpoints)
    if not isinstance(parsed, BatchLine):
        return not_asked(batch.id, number, None, parsed.code, parsed.message)
    status = 400 if number % 5 == 4 else 200
    return answered(batch.id, number, parsed.custom_id, status, f"call-{number}", json.dumps({"line": number}).encode())


def usage_of(result: Result) -> BatchUsage:
    return BatchUsage(completed=1, output_tokens=1) if result.file == "o" else BatchUsage(failed=1)


async def answered_part(components: BatchComponents, batch: Batch, number: int, count: int) -> Part:
    """A part of which a worker has put the first `count` answers on record, in journal objects of two answers."""
    place = (await read_ranges(components.objects, batch, [number]))[number]
    data = await components.objects.read(batch.input_key, place.first_byte, place.length)
    lines = part_lines(data or b"", place.lines)[:count]
    results = [answer(batch, place.first_line + i, line, components) for i, line in enumerate(lines)]
    objects = 0
    for objects, first in enumerate(range(0, count, 2), 1):
        key = journal_key(batch.workspace_id, batch.id, number, 0, objects - 1)
        await components.objects.put(key, b"".join(map(journal_entry, results[first : first + 2])))
    usage = BatchUsage()
    for result in results:
        usage += usage_of(result)
    fields: dict[str, Any] = {name: getattr(place, name) for name in ("first_line", "first_byte", "length", "lines")}
    return Part(
        batch_id=batch.id,
        workspace_id=batch.workspace_id,
        number=number,
        journal_objects=(objects,),
        usage=usage,
        **fields,
    )


async def done_part(components: BatchComponents, batch: Batch, number: int) -> Part:
    """A part that a worker has finished."""
    part = await answered_part(components, batch, number, 10_000)
    return await _write_results(components, part, await _read_journal(components, part))


async def _read_journal(components: BatchComponents, part: Part) -> dict[int, Result]:
    return {result.line: result for result in await recorded_results(components.objects, part)}


async def _write_results(components: BatchComponents, part: Part, results: dict[int, Result]) -> Part:
    sizes: dict[str, int] = {}
    for file, make_key in (("o", part_output_key), ("e", part_errors_key)):
        ordered = (results[line] for line in sorted(results))
        data = b"".join(result.text + b"\n" for result in ordered if result.file == file)
        await components.objects.put(make_key(part.workspace_id, part.batch_id, part.number), data)
        sizes[file] = len(data)
    return replace(part, status="done", lease=None, output_bytes=sizes["o"], error_bytes=sizes["e"])


async def run_part(components: BatchComponents, message: RunPart, stops_after: int = 1_000) -> None:
    """Answer the lines of a part, or some of them, and hand it back."""
    batch = await components.table.find_batch(message.workspace_id, message.batch_id)
    part = batch and (await components.table.find_parts(batch, [message.number])).get(message.number)
    now = components.clock()
    if not batch or not part or part.status in ("done", "returned"):
        return
    if part.status == "running" and part.lease_until > now:
        return
    lease = {"lease": ulid(now), "lease_until": now + LEASE_SECONDS, "journal_objects": (*part.journal_objects, 0)}
    part = replace(part, status="running", **lease)
    if not await components.table.save(part):
        return
    part = replace(part, version=part.version + 1)
    results = await _read_journal(components, part)
    data = await components.objects.read(batch.input_key, part.first_byte, part.length)
    lines = dict(enumerate(part_lines(data or b"", part.lines), part.first_line))
    missing = [line for line in lines if line not in results]
    for first in range(0, len(missing), 2):
        stored = await components.table.find_batch(batch.workspace_id, batch.id)
        if stops_after <= first or not stored or not stored.takes_parts or stored.expires_at <= components.clock():
            break
        chosen = [answer(batch, line, lines[line], components) for line in missing[first : first + 2]]
        attempt, number = len(part.journal_objects) - 1, part.journal_objects[-1]
        key = journal_key(part.workspace_id, part.batch_id, part.number, attempt, number)
        await components.objects.put(key, b"".join(map(journal_entry, chosen)))
        usage = part.usage
        for result in chosen:
            usage += usage_of(result)
        part = replace(part, journal_objects=(*part.journal_objects[:-1], number + 1), usage=usage)
        if not await components.table.save(part):
            return
        part = replace(part, version=part.version + 1)
        results.update((result.line, result) for result in chosen)
    await _hand_back(components, part, results)


async def _hand_back(components: BatchComponents, part: Part, results: dict[int, Result]) -> None:
    is_done = len(results) == part.lines
    if is_done:
        part = await _write_results(components, part, results)
    else:
        part = replace(part, status="returned", lease=None)

    def hand_back(stored: Batch) -> Batch | None:
        if part.number not in stored.running:
            return None
        running = tuple(number for number in stored.running if number != part.number)
        if is_done:
            return replace(stored, running=running, usage=stored.usage + part.usage)
        return replace(stored, running=running, returned=(*stored.returned, part.number))

    if await change_batch(components, part.workspace_id, part.batch_id, hand_back, part) is not None:
        await feed_parts(components, part.workspace_id, part.batch_id)
