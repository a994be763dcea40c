"""Server-sent events to clients.

Source: https://platform.openai.com/docs/api-reference/chat/streaming and the HTML standard's event stream format.
"""

from collections.abc import Iterable

from tidegate.json import encode

DONE = b"data: [DONE]\n\n"
KEEP_ALIVE = b": keep-alive\n\n"


def encode_events(values: Iterable[object]) -> bytes:
    """Each value as one `data:` event, concatenated."""
    return b"".join([b"data: %b\n\n" % encode(value) for value in values])
