"""The faults that are played, each at its stage, for a plain call and for a stream."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from tests.faults import plays
from tests.faults.plays import HTML, PAGE, SSE, also, begun, failing, midway, raw, replying
from tests.faults.replies import ANTHROPIC, GEMINI, OPENAI, Dialect, event
from tests.faults.upstream import Play

Stage = Literal["connecting", "before the head", "before the first word", "midway"]
Door = Literal[
    "open", "refused", "silent", "expired certificate", "self-signed certificate", "certificate of another host"
]

NOT_UTF8 = b'data: {"choices": [{"index": 0, "delta": {"content": "\xff\xfe"}, "finish_reason": null}]}\n\n'


@dataclass(frozen=True)
class Fault:
    """`plain` and `streamed` are None where there is no such thing.

    `is_slow`: it is for the gateway to give up the provider; `is_late`: the call has no more time than that; `is_used`:
    the connection has served another call before.
    """

    name: str
    stage: Stage
    plain: Play | None
    streamed: Play | None
    is_slow: bool = False
    door: Door = "open"
    dialect: Dialect = OPENAI
    is_late: bool = False
    is_used: bool = False


def both(name: str, stage: Stage, play: Play, *, is_slow: bool = False, dialect: Dialect = OPENAI) -> Fault:
    return Fault(name, stage, play, play, is_slow, "open", dialect)


def _connecting() -> Iterator[Fault]:
    doors: tuple[tuple[str, Door], ...] = (
        ("connection refused", "refused"),
        ("connection not answered", "silent"),
        ("expired TLS certificate", "expired certificate"),
        ("self-signed TLS certificate", "self-signed certificate"),
        ("TLS certificate of another host", "certificate of another host"),
    )
    for name, door in doors:
        yield Fault(name, "connecting", plays.well, plays.well, door == "silent", door)


def _statuses() -> Iterator[Fault]:
    stage: Stage = "before the head"
    yield both("429, retry-after: 1", stage, failing(429, retry_after="1"))
    yield both("429, retry-after-ms: 200", stage, failing(429, retry_after_ms="200"))
    yield both("429 without a delay", stage, failing(429))
    for status in (400, 401, 404, 408, 409, 500, 502, 503, 504, 529):
        yield both(f"{status}", stage, failing(status))
    yield both("529 of Anthropic", stage, failing(529), dialect=ANTHROPIC)
    yield both("503 of Gemini", stage, failing(503), dialect=GEMINI)
    yield both("502 with an HTML page", stage, replying(502, PAGE, HTML))
    yield both("307 to another address", stage, replying(307, b"", location="http://127.0.0.1:9/"))


def _before_the_head() -> Iterator[Fault]:
    stage: Stage = "before the head"
    yield both("reset", stage, plays.reset)
    yield Fault("reset of a connection that was used before", stage, plays.reset, plays.reset, is_used=True)
    yield both("closed", stage, plays.close)
    yield both("silence", stage, plays.silence, is_slow=True)
    late = "silence until the call's own deadline"
    yield Fault(late, stage, plays.silence, plays.silence, is_late=True)
    yield both("half a head, then silence", stage, raw(b"HTTP/1.1 200 OK\r\ncontent-ty", plays.silence), is_slow=True)
    yield both("half a head, then closed", stage, raw(b"HTTP/1.1 200 OK\r\ncontent-ty", plays.close))
    yield both("something that is not HTTP", stage, raw(b"\x00\x01\x02 tide\r\n\r\n", plays.close))


def _before_the_first_word() -> Iterator[Fault]:
    stage: Stage = "before the first word"
    yield both("reset", stage, begun(plays.reset))
    yield both("closed", stage, begun(plays.close))
    yield both("silence", stage, begun(plays.silence), is_slow=True)
    yield Fault("an empty body", stage, replying(200, b""), replying(200, b"", SSE))
    yield Fault("an HTML page with 200", stage, replying(200, PAGE, HTML), replying(200, PAGE, HTML))
    yield Fault("JSON that is not an answer", stage, replying(200, {}), replying(200, {}))
    yield Fault("an error with 200", stage, replying(200, OPENAI.error), replying(200, OPENAI.error))
    yield Fault("a whole answer as JSON", stage, None, replying(200, OPENAI.completion))
    yield Fault("a stream", stage, replying(200, b"".join(OPENAI.events), SSE), None)
    text = "text/plain"
    events = b"".join(OPENAI.events)
    yield Fault("the wrong content type", stage, replying(200, OPENAI.completion, text), replying(200, events, text))
    garbage = b"\x1f\x8b\x08\x00tide"
    yield Fault(
        "invalid gzip",
        stage,
        replying(200, garbage, content_encoding="gzip"),
        replying(200, garbage, SSE, content_encoding="gzip"),
    )
    yield Fault("an error event", stage, None, begun(plays.error_event))
    yield Fault("an error event of Anthropic", stage, None, begun(plays.error_event), dialect=ANTHROPIC)
    yield Fault("an error event of Gemini", stage, None, begun(plays.error_event), dialect=GEMINI)
    yield Fault("only [DONE]", stage, None, replying(200, event("[DONE]"), SSE))
    yield Fault("an event that is not JSON", stage, None, begun(also(b"data: {tide\n\n")))
    yield Fault("a huge reply (80 MiB)", stage, plays.huge_reply, None)
    yield Fault("a huge event (80 MiB)", stage, None, begun(plays.huge_event))


def _midway() -> Iterator[Fault]:
    stage: Stage = "midway"
    yield both("reset", stage, midway(plays.reset))
    yield both("closed", stage, midway(plays.close))
    yield both("silence", stage, midway(plays.silence), is_slow=True)
    silence = midway(plays.silence)
    yield Fault("silence until the call's own deadline", stage, silence, silence, is_late=True)
    whole = json.dumps(OPENAI.completion).encode()
    not_text = whole.replace(b"Create", b"Cre\xff\xfe")
    yield Fault("truncated JSON", stage, replying(200, whole[: len(whole) // 2]), None)
    yield Fault("invalid UTF-8", stage, replying(200, not_text), midway(also(NOT_UTF8, plays.rest(0))))
    yield Fault("an end without a finish reason", stage, None, midway(plays.end))
    yield Fault("an end without [DONE]", stage, None, midway(plays.rest(OPENAI.ending)))
    for dialect, name in ((ANTHROPIC, "Anthropic"), (GEMINI, "Gemini")):
        yield Fault(f"an end without a finish reason, of {name}", stage, None, midway(plays.end), dialect=dialect)
        yield Fault(f"an error event of {name}", stage, None, midway(plays.error_event), dialect=dialect)
    yield Fault("an error event", stage, None, midway(plays.error_event))
    yield Fault("an event that is not JSON", stage, None, midway(also(b"data: {tide\n\n", plays.rest(0))))
    yield Fault("a huge event (80 MiB)", stage, None, midway(plays.huge_event))


FAULTS = (*_connecting(), *_before_the_head(), *_statuses(), *_before_the_first_word(), *_midway())
