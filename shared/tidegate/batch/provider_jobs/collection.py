"""The results of a job as the outputs and errors of its parts, each written once, and the sum of their usage."""

import asyncio
from collections.abc import Sequence
from functools import reduce
from operator import add

from msgspec.structs import replace

from tidegate.batch.keys import part_errors_key, part_output_key
from tidegate.batch.lines import part_lines
from tidegate.batch.provider_jobs.answers import AnsweredLine, answer_line
from tidegate.batch.provider_jobs.job_context import JobContext
from tidegate.batch.provider_jobs.prepared_parts import read_prepared_lines
from tidegate.batch.provider_jobs.sorted_results import read_results
from tidegate.batch.transitions import change_batch
from tidegate.domain.batch import Batch, BatchUsage, Part, PartRange, ProviderJob

_AT_ONCE = 32
_PARTS_AT_ONCE = 100


async def collect_part(context: JobContext, job: ProviderJob, part: PartRange) -> None:
    """Write the output and the errors of a part from the results on record, and count it as done, once."""
    batch, objects = context.batch, context.components.objects
    if await done_parts(context, [part.number]):
        return
    results = await read_results(context, job.results or "", part.number)
    prepared_lines = await read_prepared_lines(context, part.number)
    data = await objects.read(batch.input_key, part.first_byte, part.length) or b""
    lines = list(enumerate(zip(part_lines(data, part.lines), prepared_lines, strict=True), part.first_line))
    entries: list[AnsweredLine] = []
    for first in range(0, len(lines), _AT_ONCE):
        batched = lines[first : first + _AT_ONCE]
        entries += await asyncio.gather(
            *(
                answer_line(context, job, number, text, prepared, results.get(number))
                for number, (text, prepared) in batched
            )
        )
    output, errors = (
        b"".join(each.result.text + b"\n" for each in entries if each.result.file == name) for name in "oe"
    )
    if output:
        await objects.put(part_output_key(batch.workspace_id, batch.id, part.number), output)
    if errors:
        await objects.put(part_errors_key(batch.workspace_id, batch.id, part.number), errors)
    usage = reduce(add, (each.usage for each in entries), BatchUsage())
    done = replace(
        part.part_of(batch, context.components.clock()),
        status="done",
        usage=usage,
        output_bytes=len(output),
        error_bytes=len(errors),
    )

    def count(stored: Batch) -> Batch:
        return replace(stored, usage=stored.usage + usage)

    await change_batch(context.components, batch.workspace_id, batch.id, count, done)


async def done_parts(context: JobContext, numbers: Sequence[int]) -> list[Part]:
    """Return those of the parts that are done."""
    found: list[Part] = []
    for first in range(0, len(numbers), _PARTS_AT_ONCE):
        parts = await context.components.table.find_parts(context.batch, numbers[first : first + _PARTS_AT_ONCE])
        found += [part for part in parts.values() if part.status == "done"]
    return found


async def job_usage(context: JobContext, numbers: Sequence[int]) -> BatchUsage:
    """Return what the lines of these parts have used."""
    return reduce(add, (part.usage for part in await done_parts(context, numbers)), BatchUsage())
