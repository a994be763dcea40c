"""Stores the results of a job by part, in bounded memory: a provider gives them in any order.

One pass over the results fills small objects for each part. The prefix of a pass is its own, and told to others only
when the pass is complete: a process that dies in the middle leaves objects that nobody reads.
"""

import logging
from bisect import bisect_right
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from typing import NamedTuple

import msgspec

from tidegate.batch.lines import LineCutter
from tidegate.batch.provider_jobs.answers import LineResult, stored_result
from tidegate.batch.provider_jobs.job_context import MAX_REPLY_BYTES, JobContext
from tidegate.domain.batch import PartRange, ProviderJob
from tidegate.domain.ids import ulid
from tidegate.errors import ProviderMalformed
from tidegate.providers.batch_jobs.protocol import EXPIRED_RESULT, JobResult, JobState

log = logging.getLogger(__name__)

BUFFER_BYTES = 8 * 1024 * 1024

_encode = msgspec.json.Encoder().encode
_decode_lines = msgspec.json.Decoder(LineResult).decode_lines


class SortedResults(NamedTuple):
    """The prefix of the objects with the results of a job, the number of results, and of expired ones among them."""

    prefix: str
    found: int
    expired: int


class _Sorter:
    """Collects results by part, and writes them below `prefix` when they are many.

    `found` counts them, and `expired` those of lines that the provider had no time for.
    """

    def __init__(self, context: JobContext, ranges: Sequence[PartRange]) -> None:
        self.prefix = context.key(f"results/{ulid(context.components.clock())}/")
        self.found = self.expired = 0
        self._objects, self._ranges = context.components.objects, ranges
        self._first_lines = [part.first_line for part in ranges]
        self._buffers: dict[int, list[bytes]] = {}
        self._size = self._writes = 0

    async def add(self, result: JobResult) -> None:
        index = -1 if result.line is None else bisect_right(self._first_lines, result.line) - 1
        if result.line is None or index < 0:
            return
        part = self._ranges[index]
        if result.line >= part.first_line + part.lines:
            return
        data = _encode(stored_result(result, result.line))
        self._buffers.setdefault(part.number, []).append(data)
        self._size += len(data)
        self.found += 1
        self.expired += result.status == EXPIRED_RESULT
        if self._size >= BUFFER_BYTES:
            await self.flush()

    async def flush(self) -> None:
        for number, entries in sorted(self._buffers.items()):
            await self._objects.put(f"{self.prefix}{number:06}/{self._writes:06}", b"\n".join(entries))
        self._buffers, self._size, self._writes = {}, 0, self._writes + 1


async def sort_results(
    context: JobContext, job: ProviderJob, state: JobState, ranges: Sequence[PartRange], lines: Sequence[int]
) -> SortedResults:
    """Store the results by part.

    `ranges` are the job's parts, `lines` its lines in the order in which they were sent. Raises `UpstreamError` if they
    cannot be read now, and `StoreUnavailable`.
    """
    sorter = _Sorter(context, ranges)
    for file in state.files:
        async with aclosing(_results(context, job, state, file, lines)) as results:
            async for result in results:
                await sorter.add(result)
    await sorter.flush()
    return SortedResults(sorter.prefix, sorter.found, sorter.expired)


async def read_results(context: JobContext, prefix: str, part: int) -> Mapping[int, LineResult]:
    """Return the results of a part by line. Of two results of one line, the first counts."""
    found: dict[int, LineResult] = {}
    if not prefix:
        return found
    for key in sorted(await context.components.objects.list_keys(f"{prefix}{part:06}/")):
        data = await context.components.objects.read(key)
        for result in _decode_lines(data or b""):
            found.setdefault(result.line, result)
    return found


async def _results(
    context: JobContext, job: ProviderJob, state: JobState, file: str, lines: Sequence[int]
) -> AsyncGenerator[JobResult]:
    spec = context.spec(job)
    request = context.jobs.download(spec, state, file)
    if request is None:
        for key in await context.components.objects.list_keys(output_prefix(context, job)):
            if key.endswith(file):
                async with aclosing(context.components.objects.chunks(key)) as chunks:
                    async for result in _results_of_lines(context, chunks):
                        yield result
        return
    async with context.send(request) as response:
        if context.jobs.is_document:
            data = await response.read(MAX_REPLY_BYTES)
            try:
                for result in context.jobs.results(context.reference, data, lines):
                    yield result
            except ValueError:
                raise _malformed(context) from None
            return
        async with aclosing(response.chunks()) as chunks:
            async for result in _results_of_lines(context, chunks):
                yield result


async def _results_of_lines(context: JobContext, chunks: AsyncIterator[bytes]) -> AsyncIterator[JobResult]:
    """Read a file with a result in each line. Raises `ProviderMalformed` if there is none in it."""
    cutter = LineCutter(MAX_REPLY_BYTES)
    found = faults = 0
    done = False
    while not done:
        chunk = await anext(chunks, None)
        done = chunk is None
        for line in cutter.last() if chunk is None else cutter.feed(chunk):
            try:
                results = list(context.jobs.results(context.reference, line.data or b"", ()))
            except ValueError:
                faults += 1
                continue
            for result in results:
                found += 1
                yield result
    if faults:
        log.warning("batch.results_malformed", extra={"batch_id": context.batch.id, "lines": faults})
    if faults and not found:
        raise _malformed(context)


def output_prefix(context: JobContext, job: ProviderJob) -> str:
    """The prefix below which a provider writes results into the bucket."""
    return context.key(f"output/{job.reference}/")


def _malformed(context: JobContext) -> ProviderMalformed:
    return ProviderMalformed(f"{context.deployment.provider} returned something else than the results of the batch.")
