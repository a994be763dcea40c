"""Receives the content of a file or of a part as a stream, counts it, and looks at its first line."""

from collections.abc import AsyncIterable, Callable

import msgspec

from tidegate.batch.lines import BYTE_ORDER_MARK
from tidegate.batch.ports import BatchObjects
from tidegate.domain.batch_options import BatchOptions
from tidegate.errors import RequestTooLarge

_decode_object = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode

_BLANK = BYTE_ORDER_MARK + b" \t\r\n"


class FirstLine:
    """Tells whether a file may be JSONL, by the first line that is not empty."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._text = bytearray()
        self.is_complete = False

    def add(self, data: bytes) -> None:
        """Take the next bytes of the file. What follows the line is ignored."""
        if self.is_complete:
            return
        if not self._text:
            data = data.lstrip(_BLANK)
        end = data.find(b"\n")
        self._text += data if end < 0 else data[:end]
        self.is_complete = end >= 0 or len(self._text) > self._max_bytes

    @property
    def may_be_json(self) -> bool:
        """False if there is no such line, or if it is not a JSON object. The validation of a batch says more."""
        if len(self._text) > self._max_bytes:
            return self._text.startswith(b"{")
        try:
            _decode_object(self._text.decode("utf-8", "replace"))
        except msgspec.DecodeError:
            return False
        except RecursionError:
            return True  # it is nested too deep
        return True


async def receive_content(
    objects: BatchObjects,
    key: str,
    chunks: AsyncIterable[bytes],
    check_size: Callable[[int], None],
    first_line: FirstLine | None = None,
) -> int:
    """Write the chunks to an object, and return its size. `check_size` may raise an error for the size so far.

    The object does not exist if there is an error, or no content.
    """
    size = 0
    async with objects.writer(key) as writer:
        async for chunk in chunks:
            size += len(chunk)
            check_size(size)
            if first_line is not None:
                first_line.add(chunk)
            await writer.write(chunk)
    return size


def check_file_size(options: BatchOptions, purpose: str | None, size: int) -> None:
    """Raise `RequestTooLarge` for a file that is larger than its purpose allows; None is not known yet."""
    maximum = options.max_input_bytes if purpose == "batch" else options.max_file_bytes
    if size <= maximum:
        return
    subject = "A file with the purpose 'batch'" if purpose == "batch" else "A file"
    advice = " Divide it into several batches." if purpose == "batch" else ""
    limit = f"{maximum:,} bytes ({maximum // 2**20} MB)"
    raise RequestTooLarge(f"{subject} may have at most {limit}; this one has {size:,} or more.{advice}", param="file")
