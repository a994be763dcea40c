"""The results of a batch's parts, appended to its output and error files in the order of their numbers."""

import asyncio
from collections.abc import Mapping

from tidegate.batch.components import BatchComponents
from tidegate.batch.keys import RANGES_PER_OBJECT, part_errors_key, part_output_key
from tidegate.batch.lines import BatchLine, parse_line, part_lines
from tidegate.batch.part_answers import PartAnswers
from tidegate.batch.ports import PIECE_BYTES, ObjectWriter
from tidegate.batch.ranges import read_ranges
from tidegate.batch.results import CANCELLED, EXPIRED, Result, not_asked
from tidegate.domain.batch import Batch, BatchUsage, Part, PartRange

PARTS_AT_ONCE = 32
"""The parts whose results are read at the same time, if they are small."""


class PartResults:
    """The results of one batch's parts. `usage` is that of the appended parts, as far as the batch's lacks it."""

    def __init__(self, components: BatchComponents, batch: Batch) -> None:
        self.usage = BatchUsage()
        self._components, self._objects, self._batch = components, components.objects, batch
        self._ranges: Mapping[int, PartRange] = {}

    async def append(self, first: int, output: ObjectWriter, errors: ObjectWriter) -> int:
        """Append the results of the part with this number, and of some that follow; return the next number."""
        numbers = range(first, min(first + PARTS_AT_ONCE, self._batch.parts))
        parts = await self._components.table.find_parts(self._batch, [n for n in numbers if n < self._batch.fed])
        small = _small_parts(parts, numbers)
        if not small:
            await self._append_one(first, parts.get(first), output, errors)
            return first + 1
        results = await asyncio.gather(*(self._read(part) for part in small))
        for part, (lines, error_lines) in zip(small, results, strict=True):
            if (len(lines), len(error_lines)) == (part.output_bytes, part.error_bytes):
                await output.write(lines)
                await errors.write(error_lines)
            else:
                await self._append_again(part, output, errors)
        return first + len(small)

    async def _read(self, part: Part) -> tuple[bytes, bytes]:
        output_key, errors_key = self._keys(part)
        lines = await self._objects.read(output_key, 0, part.output_bytes) if part.output_bytes else b""
        error_lines = await self._objects.read(errors_key, 0, part.error_bytes) if part.error_bytes else b""
        return lines or b"", error_lines or b""

    def _keys(self, part: Part) -> tuple[str, str]:
        place = (part.workspace_id, part.batch_id, part.number)
        return part_output_key(*place), part_errors_key(*place)

    async def _append_one(self, number: int, part: Part | None, output: ObjectWriter, errors: ObjectWriter) -> None:
        if part is None or part.status != "done":
            await self._append_unfinished(number, part, output, errors)
            return
        keys, sizes = self._keys(part), (part.output_bytes, part.error_bytes)
        stored = [await self._objects.size(key) if size else 0 for key, size in zip(keys, sizes, strict=True)]
        if stored != [*sizes]:
            await self._append_again(part, output, errors)
            return
        for writer, key, size in zip((output, errors), keys, sizes, strict=True):
            if size:
                await writer.append_object(key, size)

    async def _append_again(self, part: Part, output: ObjectWriter, errors: ObjectWriter) -> None:
        """Append the results of a done part whose objects somebody has deleted: the journal has them, too."""
        await self._append_lines(part, await self._read_journal(part), output, errors)

    async def _append_unfinished(
        self, number: int, part: Part | None, output: ObjectWriter, errors: ObjectWriter
    ) -> None:
        """Append the answers on record of a part that is not done, and errors of its other lines."""
        place = part or await self._range(number)
        unanswered = await self._append_lines(place, await self._read_journal(part), output, errors)
        self.usage += (part.usage if part is not None else BatchUsage()) + BatchUsage(failed=unanswered)

    async def _read_journal(self, part: Part | None) -> PartAnswers:
        """The answers on record. Lines whose object is gone count as not answered."""
        answers = PartAnswers(self._objects)
        if part is not None:
            await answers.load(part)
        return answers

    async def _range(self, number: int) -> PartRange:
        if number not in self._ranges:
            numbers = range(number, min(number + RANGES_PER_OBJECT, self._batch.parts))
            self._ranges = await read_ranges(self._objects, self._batch, numbers)
        return self._ranges[number]

    async def _append_lines(
        self, place: Part | PartRange, answers: PartAnswers, output: ObjectWriter, errors: ObjectWriter
    ) -> int:
        """Append a result for each line of the place, and return how many of them were not answered."""
        numbers = range(place.first_line, place.first_line + place.lines)
        missing = answers.missing(numbers)
        for result in await self._not_asked(place, missing) if missing else ():
            answers.add(result)
        await answers.append(output, "o")
        await answers.append(errors, "e")
        return len(missing)

    async def _not_asked(self, place: Part | PartRange, missing: list[int]) -> list[Result]:
        """Errors for these lines, whose custom ids are read from the input, if it still exists."""
        batch = self._batch
        code, message = CANCELLED if batch.ending == "cancelled" else EXPIRED
        data = await self._objects.read(batch.input_key, place.first_byte, place.length)
        lines = part_lines(data or b"", place.lines)
        results: list[Result] = []
        for number in missing:
            parsed = parse_line(lines[number - place.first_line], batch.endpoint, self._components.endpoints)
            custom_id = parsed.custom_id if isinstance(parsed, BatchLine) else None
            results.append(not_asked(batch.id, number, custom_id, code, message))
        return results


def _small_parts(parts: Mapping[int, Part], numbers: range) -> list[Part]:
    """The done parts at the beginning of `numbers` whose results, all together, are small enough for memory."""
    found: list[Part] = []
    size = 0
    for number in numbers:
        part = parts.get(number)
        if part is None or part.status != "done":
            break
        size += part.output_bytes + part.error_bytes
        if size > PIECE_BYTES:
            break
        found.append(part)
    return found
