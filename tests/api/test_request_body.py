"""The body of a request: whole or in pieces, within its limit, before anything larger is read."""

import pytest

from tidegate.api.request_body import ClientGone, read_json_body
from tidegate.errors import RequestTooLarge, TidegateError, UnsupportedMediaType

LIMIT = 10
GONE = None


class Client:
    """Sends pieces of a body as ASGI messages; None is its disconnect."""

    def __init__(self, *pieces: bytes | None) -> None:
        self._pieces = list(pieces)
        self.received = 0

    async def __call__(self) -> dict[str, object]:
        piece = self._pieces[self.received]
        self.received += 1
        more = self.received < len(self._pieces)
        if piece is GONE:
            return {"type": "http.disconnect"}
        return {"type": "http.request", **({"body": piece} if piece else {}), **({"more_body": True} if more else {})}

    def take_body(self) -> bytes | None:
        """The whole body if it is one piece, as our own servers give it."""
        if len(self._pieces) != 1:
            return None
        self.received += 1
        return self._pieces[0]


async def read(client: Client, **headers: str) -> bytes:
    sent = {name.replace("_", "-").encode(): value.encode() for name, value in headers.items()}
    return await read_json_body(client, {b"content-type": b"application/json", **sent}, LIMIT)


@pytest.mark.parametrize(
    "pieces", [[b""], [b"{}"], [b"0123456789"], [b"01", b"23456789"], [b"", b"{", b"}"], [b"01234", b"", b"56789", b""]]
)
async def test_a_body_is_read_whole(pieces: list[bytes]) -> None:
    client = Client(*pieces)
    assert (await read(client), client.received) == (b"".join(pieces), len(pieces))


@pytest.mark.parametrize(
    ("pieces", "received"),
    [([b"0123456789a"], 1), ([b"0123456789a", b""], 1), ([b"01234", b"56789", b"a", b"b"], 3), ([b"", b"x" * 11], 2)],
)
async def test_no_more_of_a_body_is_read_than_its_limit(pieces: list[bytes], received: int) -> None:
    client = Client(*pieces)
    with pytest.raises(RequestTooLarge):
        await read(client)
    assert client.received == received


async def test_nothing_is_read_of_a_body_that_is_declared_too_large() -> None:
    client = Client(b"{}")
    with pytest.raises(RequestTooLarge):
        await read(client, content_length="11")
    assert client.received == 0
    assert await read(client, content_length="10") == b"{}"


@pytest.mark.parametrize("length", ["", "-1", "many", "²"])
async def test_a_length_that_is_no_number_declares_nothing(length: str) -> None:
    assert await read(Client(b"{}"), content_length=length) == b"{}"


@pytest.mark.parametrize("pieces", [[GONE], [b"{", GONE]])
async def test_a_client_who_leaves_before_the_end_sends_no_request(pieces: list[bytes | None]) -> None:
    with pytest.raises(ClientGone):
        await read(Client(*pieces))


@pytest.mark.parametrize(
    ("media_type", "refusal"),
    [
        *(("application/json", None), (" Application/JSON ;charset=utf-8", None), ("application/json;", None)),
        *(
            (value, UnsupportedMediaType)
            for value in ("", "text/plain", "application/jsonl", "json", "a;application/json")
        ),
    ],
)
async def test_the_body_is_json_with_any_parameters(media_type: str, refusal: type[TidegateError] | None) -> None:
    client = Client(b"{}")
    if refusal is None:
        assert await read(client, content_type=media_type) == b"{}"
        return
    with pytest.raises(refusal):
        await read(client, content_type=media_type)
    assert client.received == 0
