"""Replies of providers in every dialect: recorded ones, changed at random, in pieces, and with odd heads."""

import json
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from tests.fuzz.dialects import TEXT_REPLIES, bodies_of, name_of
from tests.fuzz.mutations import VALUES, as_json, mutated, mutated_bytes, rarely
from tests.providers.calls import CASES
from tests.upstream.frames import event, exception, frame

_FOLDERS = sorted(path.parent for path in CASES.glob("*/*/upstream.*") if (path.parent / "request.json").exists())

_PATHS = (
    *("/v1/chat/completions", "/api/v1/chat/completions", "/api/ds-prototypes/chat/completions", "/v1/completions"),
    *("/v1/messages", "/v1/messages/count_tokens", "/v1/responses", "/v1/responses/compact", "/api/chat"),
    *("/api/generate", "/api/embed", "/v1/embeddings", "/v1/rerank", "/v1/moderations"),
)


@dataclass(frozen=True)
class Exchange:
    """A request, and what the provider answers: the pieces of a body, of which the last may be a broken one."""

    path: str
    request: bytes
    status: int
    headers: dict[str, str]
    pieces: list[bytes]
    breaks: bool


@st.composite
def exchanges(draw: st.DrawFn) -> Exchange:
    path = draw(st.sampled_from(_PATHS))
    request, body, kind = draw(_text_exchange(path) if name_of(path) in TEXT_REPLIES else _chat_exchange(path))
    status = draw(
        st.sampled_from([200] * 8 + [201, 204, 302, 400, 401, 403, 404, 408, 413, 422, 429, 500, 502, 503, 529, 599])
    )
    headers = {
        "content-type": draw(
            st.sampled_from([kind] * 8 + ["", "text/html", "application/json", "text/event-stream", "é/ü"])
        ),
        "retry-after": draw(
            st.sampled_from([""] * 6 + ["1", "-1", "1e999", "nan", "x", "Wed, 21 Oct 2015 07:28:00 GMT", "9" * 400])
        ),
        "x-ratelimit-reset-requests": draw(st.sampled_from(["", "", "1s", "x", "1h99999999999999m"])),
        "x-request-id": draw(st.sampled_from(["", "a", "é", "a" * 5_000])),
    }
    pieces = _pieces(body, draw(st.lists(st.integers(0, max(1, len(body))), max_size=4)))
    return Exchange(path, as_json(request), status, {n: v for n, v in headers.items() if v}, pieces, draw(rarely))


@st.composite
def _chat_exchange(draw: st.DrawFn, path: str) -> tuple[Any, bytes, str]:
    """A request of some provider's cases in the path's dialect, its reply's body and content type."""
    folder = draw(st.sampled_from(_FOLDERS))
    request = json.loads((folder / "request.json").read_text("utf-8"))
    if listed := bodies_of(path):
        stream = request.get("stream", False)
        request = {**draw(st.sampled_from(listed)), "model": request["model"], "stream": stream}
    if draw(rarely):
        request["stream"] = not request.get("stream")
    if draw(rarely):
        request["fallbacks"] = ["openai/gpt-4.1", "anthropic/claude-sonnet-4-5"]
    [reply] = folder.glob("upstream.*")
    return request, *draw(_body(reply))


@st.composite
def _text_exchange(draw: st.DrawFn, path: str) -> tuple[Any, bytes, str]:
    """A request of an operation on texts, and a reply that some provider has for it."""
    request = draw(st.sampled_from(bodies_of(path)))
    reply = draw(mutated(draw(st.sampled_from(TEXT_REPLIES[name_of(path)]))))
    return request, draw(mutated_bytes(as_json(reply))), "application/json"


def _pieces(body: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted(places), len(body)]
    return [body[start:end] for start, end in pairwise(edges)]


@st.composite
def _body(draw: st.DrawFn, path: Path) -> tuple[bytes, str]:
    text = path.read_text("utf-8")
    match path.suffix:
        case ".json":
            return draw(mutated_bytes(as_json(draw(mutated(json.loads(text)))))), "application/json"
        case ".sse":
            blocks = [draw(_sse_block(block)) for block in text.split("\n\n") if block]
            return draw(mutated_bytes("".join(blocks).encode("utf-8", "surrogatepass"))), "text/event-stream"
        case ".txt" | ".html":
            return draw(mutated_bytes(text.encode())), "text/html"
        case _:
            frames = [draw(_frame(line)) for line in text.splitlines() if line]
            return draw(mutated_bytes(b"".join(frames))), "application/vnd.amazon.eventstream"


@st.composite
def _sse_block(draw: st.DrawFn, block: str) -> str:
    """An event of a stream; sometimes changed, doubled or left out."""
    if not draw(rarely):
        return f"{block}\n\n"
    head, mark, data = block.rpartition("data:")
    try:
        value: Any = json.loads(data)
    except ValueError:
        return draw(st.sampled_from([f"{block}\n\n", "", "data: {}\n\n", "data: null\n\n", ": \n\n", "data\n\n"]))
    written = json.dumps(draw(mutated(value)))
    return f"{head}{mark} {written}\n\n" * draw(st.integers(0, 2))


@st.composite
def _frame(draw: st.DrawFn, line: str) -> bytes:
    """An event of an AWS event stream; sometimes changed, doubled or left out."""
    kind, _, data = line.partition(" ")
    value = json.loads(data)
    make = exception if kind.startswith("exception:") else event
    if draw(rarely):
        value = draw(mutated(value))
    if draw(rarely):
        return frame(b"", as_json(draw(VALUES)))
    return make(kind.removeprefix("exception:"), value) * (draw(st.integers(0, 2)) if draw(rarely) else 1)
