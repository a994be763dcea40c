"""The calls that are measured, as the bytes that go over the wire."""

import json
from typing import NamedTuple

PROMPT = "Write a tagline for an AI content platform."
PATH = "/v1/chat/completions"
DEMO_KEY = "sk-tidegate-demo"
HEADERS = {"Host": "127.0.0.1", "Content-Type": "application/json", "Authorization": f"Bearer {DEMO_KEY}"}


NUMBER = "00000000"
"""Digits of a prompt that each call of a load replaces by others, so that no two are equal."""


class Shot(NamedTuple):
    """A call that a load repeats: its body, and the path to send it to."""

    body: str
    path: str = PATH


def body(stream: str | None = None, **fields: object) -> str:
    """A plain call, or one for that stream of the upstream's, with those fields."""
    asked: dict[str, object] = {
        "model": "openai/gpt-4o-mini",
        "messages": [{"role": "user", "content": PROMPT}],
        **({"stream": True, "user": stream} if stream else {}),
        **fields,
    }
    return json.dumps(asked, separators=(",", ":"))


def raw(body: str, path: str = PATH) -> bytes:
    """The whole request."""
    lines = [f"POST {path} HTTP/1.1", *(f"{name}: {value}" for name, value in HEADERS.items())]
    return ("\r\n".join([*lines, f"Content-Length: {len(body)}"]) + "\r\n\r\n" + body).encode()
