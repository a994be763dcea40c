"""Collects the findings of a validation: requests, parts, models and faults; stores them, and goes on from there."""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing

import msgspec
from msgspec import Struct, field
from msgspec.structs import replace

from tidegate.batch.digests import CustomIds
from tidegate.batch.keys import RANGES_PER_OBJECT, validation_key
from tidegate.batch.lines import BatchLine, CutLine, parse_line
from tidegate.batch.ports import BatchObjects
from tidegate.batch.ranges import write_ranges
from tidegate.domain.batch import Batch, BatchFault, PartRange
from tidegate.domain.batch_options import BatchOptions
from tidegate.domain.operation import Operation
from tidegate.domain.surface import Surface

MAX_FAULTS = 100
"""The most faults that are listed. Reading stops when there are so many."""

MAX_MODELS = 100
"""The most models that are remembered, to find out which providers the batch asks."""

_MAX_MODEL_CHARACTERS = 200
"""Names that are longer are those of unknown models, but are kept in memory, and with the batch."""


class Progress(Struct, kw_only=True):
    """The findings that are small. `ranges` are the last ones, not written yet; `sizes` are those of `CustomIds`."""

    next_byte: int = 0
    next_number: int = 1
    in_long_line: bool = False
    requests: int = 0
    parts: int = 0
    part: PartRange | None = None
    ranges: list[PartRange] = field(default_factory=list[PartRange])
    faults: list[BatchFault] = field(default_factory=list[BatchFault])
    models: list[str] = field(default_factory=list[str])
    sizes: list[int] = field(default_factory=list[int])


_decode_progress = msgspec.json.Decoder(Progress).decode


class InputFindings:
    """The findings about one batch's input so far. If `is_clear`, the batch fails, whatever else is in its input."""

    def __init__(self, batch: Batch, options: BatchOptions, endpoints: Mapping[str, tuple[Surface, Operation]]) -> None:
        self.progress = Progress()
        self.is_clear = False
        self._batch, self._options, self._endpoints = batch, options, endpoints
        self._custom_ids = CustomIds()
        is_object = batch.source == "object"
        self._max_lines = options.max_object_lines if is_object else options.max_lines
        self._max_bytes = options.max_object_bytes if is_object else options.max_input_bytes
        self._key = validation_key(batch.workspace_id, batch.id)

    def size_fault(self) -> BatchFault | None:
        """The fault of an input that is too large to be read at all."""
        size = self._batch.input_bytes
        if size <= self._max_bytes:
            return None
        message = f"The input file is {size:,} bytes large, which exceeds the maximum of {self._max_bytes:,} bytes."
        return BatchFault("file_too_large", message)

    def take(self, line: CutLine) -> None:
        """Check the next line."""
        if self.is_clear:
            return
        progress = self.progress
        if progress.requests >= self._max_lines:
            message = f"The number of requests in the input file exceeds the maximum of {self._max_lines:,}."
            self._add_fault(BatchFault("too_many_tasks", message))
            self.is_clear = True
            return
        progress.requests += 1
        if line.data is None:
            message = f"This line is longer than {self._options.max_line_bytes:,} bytes."
            self._add_fault(BatchFault("line_too_long", message, line.number))
            return
        parsed = parse_line(line.data, self._batch.endpoint, self._endpoints)
        if isinstance(parsed, BatchFault):
            self._add_fault(replace(parsed, line=line.number))
            return
        self._custom_ids.add(parsed.custom_id, line.number)
        self._take_model(parsed)
        self._add_to_part(line)

    async def all_faults(self) -> tuple[BatchFault, ...]:
        """The first faults of the whole input, in the order of their lines; those of the file come last."""
        if not self.progress.requests:
            message = "The input file is empty. Please ensure that the batch contains at least one request."
            return (BatchFault("empty_file", message),)
        message = "The custom ID for this request is a duplicate of the custom ID in another request."
        repeated = [
            BatchFault("duplicate_custom_id", message, number, "custom_id")
            for number in await self._custom_ids.repeated(MAX_FAULTS)
        ]
        of_lines = sorted(
            (fault for fault in [*self.progress.faults, *repeated] if fault.line is not None),
            key=lambda fault: fault.line or 0,
        )
        of_file = [fault for fault in self.progress.faults if fault.line is None]
        return (*of_lines[: MAX_FAULTS - len(of_file)], *of_file)

    async def write_full_ranges(self, objects: BatchObjects) -> None:
        """Write objects of ranges that are full."""
        ranges = self.progress.ranges
        while len(ranges) >= RANGES_PER_OBJECT:
            await write_ranges(objects, self._batch, ranges[:RANGES_PER_OBJECT])
            del ranges[:RANGES_PER_OBJECT]

    async def write_last_ranges(self, objects: BatchObjects) -> None:
        """End the last part, and write all ranges that are left."""
        self._end_part()
        await self.write_full_ranges(objects)
        await write_ranges(objects, self._batch, self.progress.ranges)

    async def store(self, objects: BatchObjects) -> None:
        """Store the findings, from which another process goes on."""
        self.progress.sizes = self._custom_ids.sizes
        async with objects.writer(self._key, content_type="application/octet-stream") as writer:
            await writer.write(msgspec.json.encode(self.progress) + b"\n")
            for piece in self._custom_ids.pieces():
                await writer.write(piece)

    async def load(self, objects: BatchObjects) -> None:
        """Go on from what was stored, if anything was."""
        if await objects.size(self._key) is None:
            return
        async with aclosing(objects.chunks(self._key)) as chunks:
            head = b""
            async for chunk in chunks:
                line, end, rest = chunk.partition(b"\n")
                head += line
                if end:
                    self.progress = _decode_progress(head)
                    await self._custom_ids.load(self.progress.sizes, _with_first(rest, chunks))

    def _add_fault(self, fault: BatchFault) -> None:
        self.progress.faults.append(fault)
        self.is_clear = self.is_clear or len(self.progress.faults) >= MAX_FAULTS

    def _take_model(self, line: BatchLine) -> None:
        models, model = self.progress.models, line.model[:_MAX_MODEL_CHARACTERS]
        if model not in models and len(models) < MAX_MODELS:
            models.append(model)

    def _add_to_part(self, line: CutLine) -> None:
        part, options = self.progress.part, self._options
        if part is not None:
            is_full = part.lines >= options.part_lines or line.end - part.first_byte > options.part_bytes
            if not is_full:
                self.progress.part = replace(part, length=line.end - part.first_byte, lines=part.lines + 1)
                return
            self._end_part()
        number, length = self.progress.parts, line.end - line.first_byte
        self.progress.part = PartRange(number, self.progress.requests - 1, line.first_byte, length, 1)
        self.progress.parts += 1

    def _end_part(self) -> None:
        if self.progress.part is not None:
            self.progress.ranges.append(self.progress.part)
            self.progress.part = None


async def _with_first(first: bytes, chunks: AsyncGenerator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for chunk in chunks:
        yield chunk
