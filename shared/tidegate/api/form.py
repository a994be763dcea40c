"""Forms with one file, `multipart/form-data`, read as a stream: the file is never in memory as a whole.

Source: RFC 7578. Nested fields have the names that OpenAI's clients give them: `expires_after[seconds]`.
"""

import re
from collections.abc import AsyncIterator, Awaitable, Callable

from starlette.requests import Request

from tidegate.api.form_parser import MAX_BOUNDARY_BYTES, FormParser, header_options
from tidegate.api.request_body import body_pieces
from tidegate.errors import InvalidRequest, RequestTooLarge, UnsupportedMediaType
from tidegate.json import JsonObject

MAX_FIELD_BYTES = 64 * 1024
MAX_OVERHEAD_BYTES = 2 * 1024 * 1024
"""All that a form may have beside its file is smaller."""

_MEDIA_TYPE = "multipart/form-data"
_NESTED_NAME = re.compile(r"(\w{1,40})\[(\w{1,40})\]")

OnFile = Callable[[str, AsyncIterator[bytes], JsonObject], Awaitable[None]]
"""Takes the name of the file, its content, and the fields that came before it. Reads all of the content."""


async def read_form(request: Request, file_field: str, on_file: OnFile) -> JsonObject:
    """Give the file in `file_field` to `on_file`, and return all other fields as texts, whatever their order.

    Raises `UnsupportedMediaType`, `InvalidRequest`, `ClientGone`, and what `on_file` raises.
    """
    form, fields, names = _Form(request), JsonObject(), set[str]()
    while (part := await form.next_part()) is not None:
        name, filename = part
        if name in names:
            raise InvalidRequest(f"The form has the field {name[:80]!r} twice: send one of them.", param=name[:80])
        names.add(name)
        if filename is not None and name == file_field:
            await on_file(filename, form.content(), fields)
        elif filename is not None:
            raise InvalidRequest(f"The form has a file in {name[:80]!r}: send it in {file_field!r}.", param=name[:80])
        elif name == file_field:
            message = f"{file_field!r} has no filename, so it is not a file: with curl, write -F {file_field}=@FILE."
            raise InvalidRequest(message, param=file_field)
        else:
            _set(fields, name, await form.text(name))
    if file_field not in names:
        raise InvalidRequest(f"The form has no file: send one in the field {file_field!r}.", param=file_field)
    return fields


class _Form:
    """The parts of a form. Each must be read to its end before the next."""

    def __init__(self, request: Request) -> None:
        self._pieces = body_pieces(request.receive)
        self._parser = FormParser(_boundary(request))
        self._is_in_part = False

    async def next_part(self) -> tuple[str, str | None] | None:
        """Return the name of the next part, and of its file; None at the end of the form."""
        while self._is_in_part:
            await self._next_data()
        if not await self._has_event():
            return None
        options = self._parser.events.popleft()
        # A part begins with its options.
        assert isinstance(options, dict)  # noqa: S101
        self._is_in_part = True
        return _names(options)

    async def content(self) -> AsyncIterator[bytes]:
        """Return the content of the part in pieces."""
        while (data := await self._next_data()) is not None:
            yield data

    async def text(self, name: str) -> str:
        """Return the content of the part as text. Raises `InvalidRequest`."""
        content = bytearray()
        async for data in self.content():
            content += data
            if len(content) > MAX_FIELD_BYTES:
                raise InvalidRequest(f"The field {name[:80]!r} has more than {MAX_FIELD_BYTES:,} bytes.")
        try:
            return content.decode()
        except UnicodeDecodeError:
            raise InvalidRequest(f"The field {name[:80]!r} is not valid UTF-8.") from None

    async def _next_data(self) -> bytes | None:
        """Return the next piece of the part; None at its end."""
        if not await self._has_event():
            raise _incomplete()
        event = self._parser.events.popleft()
        self._is_in_part = event is not None
        return bytes(event) if isinstance(event, bytearray) else None

    async def _has_event(self) -> bool:
        """Read on until something has come. False at the end of the form. Raises `InvalidRequest`."""
        while not self._parser.events:
            if self._parser.is_complete:
                return False
            piece = await anext(self._pieces, None)
            if piece is None:
                raise _incomplete()
            self._parser.feed(piece)
        return True


def check_declared_size(request: Request, maximum: int) -> None:
    """Raise `RequestTooLarge` if the file must be larger, by the length that the request declares."""
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > maximum + MAX_OVERHEAD_BYTES:
        raise RequestTooLarge(f"The file has more than {maximum:,} bytes, the most that it may have.", param="file")


def _boundary(request: Request) -> bytes:
    content_type = request.headers.get("content-type", "")
    if content_type.partition(";")[0].strip().lower() != _MEDIA_TYPE:
        raise UnsupportedMediaType("The body must be a form: send it as multipart/form-data.")
    boundary = header_options(content_type.encode("latin-1")).get(b"boundary", b"")
    if not 1 <= len(boundary) <= MAX_BOUNDARY_BYTES:
        message = "The header content-type has no valid boundary: do not set this header, your HTTP client does."
        raise InvalidRequest(message)
    return boundary


def _names(options: dict[bytes, bytes]) -> tuple[str, str | None]:
    """Return the name of a part's field, and the name of its file if it is one."""
    name, filename = options.get(b"name"), options.get(b"filename")
    if not name:
        raise InvalidRequest("A part of the form has no name in its header content-disposition.")
    return name.decode("utf-8", "replace"), None if filename is None else filename.decode("utf-8", "replace")


def _set(fields: JsonObject, name: str, text: str) -> None:
    nested = _NESTED_NAME.fullmatch(name)
    if nested is None:
        fields[name] = text
        return
    outer = fields.setdefault(nested[1], {})
    if not isinstance(outer, dict):
        raise InvalidRequest(f"The form has both {nested[1]!r} and {name!r}.", param=nested[1])
    outer[nested[2]] = text


def _incomplete() -> InvalidRequest:
    return InvalidRequest("The form is incomplete: the body ends before the last boundary. Send the request again.")
