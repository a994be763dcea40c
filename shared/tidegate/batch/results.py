"""Lines of output and error files, and entries of the journal in which a part's answers are recorded.

An entry is `<line> <o or e> <JSON of the line>`, where "o" stands for the output file and "e" for the error file.
Source of the lines: https://platform.openai.com/docs/guides/batch (read 2026-11)
"""

from collections.abc import Iterator
from typing import Literal

from msgspec import Raw, Struct

from tidegate.json import Json, encode

ResultFile = Literal["o", "e"]

EXPIRED = ("batch_expired", "This request could not be executed before the completion window expired.")
CANCELLED = ("batch_cancelled", "This request was not executed, because the batch was cancelled.")


class Result(Struct, frozen=True, gc=False):
    """The answer to one line: its number in the batch, the file that it belongs to, and its JSON without a line end."""

    line: int
    file: ResultFile
    text: bytes


class _Response(Struct, gc=False):
    """The response to a line, with its `body` in JSON."""

    status_code: int
    request_id: str
    body: Raw


class _Answer(Struct, gc=False):
    """An answered line of the output or the error file."""

    id: str
    custom_id: str
    response: _Response
    error: None


def request_id(batch_id: str, line: int) -> str:
    """The id of a line's answer, which is the same whoever answers it."""
    return f"batch_req_{batch_id.removeprefix('batch_')}{line:07}"


def answered(batch_id: str, line: int, custom_id: str, status: int, call_id: str, body: bytes) -> Result:
    """The answer with an HTTP status, whose `body` is JSON. Statuses from 400 on belong in the error file."""
    response = _Response(status, call_id, Raw(body))
    entry = _Answer(request_id(batch_id, line), custom_id, response, None)
    return Result(line, "o" if status < 400 else "e", encode(entry))


def not_asked(batch_id: str, line: int, custom_id: str | None, code: str, message: str) -> Result:
    """The entry of a line that no provider was asked about."""
    error: Json = {"code": code, "message": readable(message)}
    named = None if custom_id is None else readable(custom_id)
    entry: Json = {"id": request_id(batch_id, line), "custom_id": named, "response": None, "error": error}
    return Result(line, "e", encode(entry))


def readable(text: str) -> str:
    """The text with question marks for lone surrogates: JSON parsers of events accept them, and UTF-8 has none."""
    return text.encode("utf-8", "replace").decode()


def journal_entry(result: Result) -> bytes:
    """The result as one line of a journal object."""
    return b"%d %s %s\n" % (result.line, result.file.encode(), result.text)


class JournalPlace(Struct, frozen=True, gc=False):
    """The place of a result's text in a journal object."""

    line: int
    file: ResultFile
    first: int
    length: int

    def result(self, data: bytes) -> Result:
        """The result, from the object's content."""
        return Result(self.line, self.file, data[self.first : self.first + self.length])


def journal_places(data: bytes) -> Iterator[JournalPlace]:
    """The places of a journal object's results, in the order in which they were recorded."""
    begin = 0
    while begin < len(data):
        end = data.find(b"\n", begin)
        end = len(data) if end < 0 else end
        after_line = data.index(b" ", begin)
        first = after_line + 3  # the file is one letter
        file = "o" if data.startswith(b"o", after_line + 1) else "e"
        yield JournalPlace(int(data[begin:after_line]), file, first, end - first)
        begin = end + 1
