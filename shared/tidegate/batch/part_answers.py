"""The answers of a part, by line. Many large ones, such as images, are not kept in memory, but read from the journal.

answers = PartAnswers(objects)
await answers.load(part)                              # those on record
answers.add(result)
size = await answers.write("…/output/000001.jsonl", "o")
"""

import asyncio
from collections.abc import AsyncIterator, Iterator

from msgspec import Struct

from tidegate.batch.keys import journal_key
from tidegate.batch.ports import BatchObjects, ObjectWriter
from tidegate.batch.results import Result, ResultFile, journal_places
from tidegate.domain.batch import Part
from tidegate.errors import StoreUnavailable

HELD_BYTES = 16 * 1024 * 1024
"""The answers on record of a part that are kept in memory: 80 KB of each line. What is beyond is read again."""

_READS_AT_ONCE = 8


class _Place(Struct, frozen=True, gc=False):
    """Where an answer is on record."""

    key: str
    first: int
    length: int


class PartAnswers:
    """A collection of the lines that have an answer."""

    def __init__(self, objects: BatchObjects) -> None:
        self._objects = objects
        self._files: dict[int, ResultFile] = {}
        self._texts: dict[int, bytes] = {}
        self._places: dict[int, _Place] = {}
        self._held = 0

    def __len__(self) -> int:
        return len(self._files)

    def __contains__(self, line: object) -> bool:
        return line in self._files

    def __iter__(self) -> Iterator[int]:
        return iter(self._files)

    def missing(self, lines: range) -> list[int]:
        """Those of the lines that have no answer, in order."""
        answered = self._files
        return [line for line in lines if line not in answered]

    def add(self, result: Result) -> None:
        """Collect an answer. It is kept in memory at least until it is on record."""
        line, text = result.line, result.text
        if line in self._texts:
            self._drop(line)
        self._files[line], self._texts[line] = result.file, text
        self._held += len(text)

    def put_on_record(self, key: str, data: bytes) -> None:
        """Note that this journal object has answers, so that they need not be kept in memory."""
        for place in journal_places(data):
            self._places[place.line] = _Place(key, place.first, place.length)
            if self._held > HELD_BYTES:
                self._drop(place.line)

    async def load(self, part: Part) -> None:
        """Read the answers on record, of all attempts. Those of an object that somebody has deleted are left out."""
        keys = journal_keys(part)
        for first in range(0, len(keys), _READS_AT_ONCE):
            some = keys[first : first + _READS_AT_ONCE]
            for key, data in zip(some, await asyncio.gather(*map(self._objects.read, some)), strict=True):
                for place in journal_places(data or b""):
                    self.add(place.result(data or b""))
                self.put_on_record(key, data or b"")

    async def write(self, key: str, file: ResultFile) -> int:
        """Write the answers for one of the files to an object, in the order of their lines, and return its size.

        Without any, there is no object. Raises `StoreUnavailable`, also if an answer on record was deleted.
        """
        lines = self._lines(file)
        if not lines:
            return 0
        if all(line in self._texts for line in lines):
            data = b"".join([self._texts[line] + b"\n" for line in lines])
            await self._objects.put(key, data)
            return len(data)
        async with self._objects.writer(key) as writer:
            await self.append(writer, file)
        return writer.size

    async def append(self, writer: ObjectWriter, file: ResultFile) -> None:
        """Append the answers for one of the files, in the order of their lines. Raises `StoreUnavailable`."""
        async for texts in self._read(self._lines(file)):
            await writer.write(b"".join([text + b"\n" for text in texts]))

    def _lines(self, file: ResultFile) -> list[int]:
        return sorted(line for line, each in self._files.items() if each == file)

    async def _read(self, lines: list[int]) -> AsyncIterator[list[bytes]]:
        """The texts of these lines, some at a time."""
        for first in range(0, len(lines), _READS_AT_ONCE):
            yield await asyncio.gather(*map(self._text, lines[first : first + _READS_AT_ONCE]))

    async def _text(self, line: int) -> bytes:
        if line in self._texts:
            return self._texts[line]
        place = self._places[line]
        text = await self._objects.read(place.key, place.first, place.length)
        if text is None or len(text) < place.length:
            raise StoreUnavailable("An answer on record was deleted.", retry_after_seconds=1)
        return text

    def _drop(self, line: int) -> None:
        self._held -= len(self._texts.pop(line, b""))


def journal_keys(part: Part) -> list[str]:
    """The names of the part's journal objects on record, of all attempts."""
    return [
        journal_key(part.workspace_id, part.batch_id, part.number, attempt, number)
        for attempt, count in enumerate(part.journal_objects)
        for number in range(count)
    ]
