"""A provider that acts a coding agent's model by a script, in Anthropic's dialect or in OpenAI's.

A request without tools is about the session (a title, a probe of the quota): it gets a text and takes no turn.
"""

import json
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.clients.programs import Program
from tests.clients.world import serving

SIGNATURE = "c2lnbmVkIGJ5IHRoZSBhY3Rvcg=="
DOT = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGNgYGAAAAAEAAH2FzhVAAAAAElFTkSuQmCC"
"""An image of one black pixel."""


@dataclass(frozen=True)
class Turn:
    """What the model says in one turn. `cut`: the connection breaks in the middle of the text.

    `read`: the tokens of its prompt.
    """

    text: str = ""
    thinking: str = ""
    calls: tuple[tuple[str, dict[str, Any]], ...] = ()
    cut: bool = False
    read: int = 100
    status: int = 200
    error: dict[str, Any] | None = None


@dataclass
class Actor:
    """`requests` are the path, headers and body of each request that has tools, in order; `asides` those without.

    `aside` is the text that answers those without.
    """

    turns: list[Turn] = field(default_factory=list[Turn])
    requests: list[tuple[str, dict[str, str], Any]] = field(default_factory=list[tuple[str, dict[str, str], Any]])
    asides: list[tuple[str, dict[str, str], Any]] = field(default_factory=list[tuple[str, dict[str, str], Any]])
    aside: str = "A title"
    port: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def plays(self, *turns: Turn, aside: str = "A title") -> None:
        self.turns, self.requests, self.asides, self.aside = list(turns), [], [], aside

    def take(self, path: str, headers: dict[str, str], body: Any) -> Turn:
        with self.lock:
            if not body.get("tools"):
                self.asides.append((path, headers, body))
                return Turn(self.aside)
            self.requests.append((path, headers, body))
            return self.turns.pop(0) if self.turns else Turn("The script has ended.")


@contextmanager
def acting() -> Iterator[Actor]:
    actor = Actor()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            turn = actor.take(self.path, {name.lower(): value for name, value in self.headers.items()}, body)
            if "count_tokens" in self.path:
                self._send(200, "application/json", json.dumps({"input_tokens": 1234}).encode())
            elif turn.error is not None:
                self._send(turn.status, "application/json", json.dumps(turn.error).encode())
            elif body.get("stream"):
                self._stream(turn, body)
            else:
                dialect = anthropic_message if "/messages" in self.path else openai_completion
                self._send(200, "application/json", json.dumps(dialect(turn, body)).encode())

        def _stream(self, turn: Turn, body: Any) -> None:
            events = anthropic_events(turn, body) if "/messages" in self.path else openai_events(turn, body)
            if turn.cut:
                events = events[: next(i for i, event in enumerate(events) if turn.text.encode() in event) + 1]
            self.send_response(200)
            self.send_header("content-type", "text/event-stream")
            self.send_header("connection", "close")
            self.end_headers()
            for event in events:
                self.wfile.write(event)
            self.close_connection = True

        def _send(self, status: int, kind: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    actor.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield actor
    server.shutdown()
    server.server_close()
    thread.join()


def anthropic_message(turn: Turn, body: Any) -> dict[str, Any]:
    content: list[dict[str, Any]] = []
    if turn.thinking:
        content.append({"type": "thinking", "thinking": turn.thinking, "signature": SIGNATURE})
    if turn.text:
        content.append({"type": "text", "text": turn.text})
    for name, tool_input in turn.calls:
        content.append({"type": "tool_use", "id": f"toolu_{uuid.uuid4().hex[:24]}", "name": name, "input": tool_input})
    return {
        "id": f"msg_{uuid.uuid4().hex[:24]}",
        "type": "message",
        "role": "assistant",
        "model": body["model"],
        "content": content,
        "stop_reason": "tool_use" if turn.calls else "end_turn",
        "stop_sequence": None,
        "usage": {
            "input_tokens": turn.read,
            "cache_read_input_tokens": 0,
            "cache_creation_input_tokens": 0,
            "output_tokens": 20,
        },
    }


def anthropic_events(turn: Turn, body: Any) -> list[bytes]:
    message = anthropic_message(turn, body)
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": {**message, "content": [], "stop_reason": None}},
        {"type": "ping"},
    ]
    for index, block in enumerate(message["content"]):
        match block["type"]:
            case "thinking":
                start = {**block, "thinking": "", "signature": ""}
                deltas = [
                    {"type": "thinking_delta", "thinking": block["thinking"]},
                    {"type": "signature_delta", "signature": block["signature"]},
                ]
            case "text":
                start = {**block, "text": ""}
                deltas = [{"type": "text_delta", "text": block["text"]}]
            case _:
                start = {**block, "input": {}}
                text = json.dumps(block["input"])
                deltas = [
                    {"type": "input_json_delta", "partial_json": part}
                    for part in (text[: len(text) // 2], text[len(text) // 2 :])
                ]
        events.append({"type": "content_block_start", "index": index, "content_block": start})
        events += [{"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas]
        events.append({"type": "content_block_stop", "index": index})
    ending = {"stop_reason": message["stop_reason"], "stop_sequence": None}
    events += [
        {"type": "message_delta", "delta": ending, "usage": message["usage"]},
        {"type": "message_stop"},
    ]
    return [f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode() for event in events]


def _calls(turn: Turn) -> list[dict[str, Any]]:
    return [
        {
            "id": f"call_{uuid.uuid4().hex[:24]}",
            "type": "function",
            "function": {"name": name, "arguments": json.dumps(tool_input)},
        }
        for name, tool_input in turn.calls
    ]


def _usage(turn: Turn) -> dict[str, int]:
    return {"prompt_tokens": turn.read, "completion_tokens": 20, "total_tokens": turn.read + 20}


def openai_completion(turn: Turn, body: Any) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": turn.text or None}
    if turn.thinking:
        message["reasoning_content"] = turn.thinking
    if turn.calls:
        message["tool_calls"] = _calls(turn)
    finish = "tool_calls" if turn.calls else "stop"
    return {
        "id": "chatcmpl-actor",
        "object": "chat.completion",
        "created": 1,
        "model": body["model"],
        "choices": [{"index": 0, "message": message, "finish_reason": finish}],
        "usage": _usage(turn),
    }


def openai_events(turn: Turn, body: Any) -> list[bytes]:
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
    if turn.thinking:
        deltas.append({"reasoning_content": turn.thinking})
    if turn.text:
        deltas.append({"content": turn.text})
    for index, call in enumerate(_calls(turn)):
        text = call["function"]["arguments"]
        half = len(text) // 2
        deltas.append(
            {"tool_calls": [{**call, "index": index, "function": {**call["function"], "arguments": text[:half]}}]}
        )
        deltas.append({"tool_calls": [{"index": index, "function": {"arguments": text[half:]}}]})
    head = {"id": "chatcmpl-actor", "object": "chat.completion.chunk", "created": 1, "model": body["model"]}
    chunks: list[dict[str, Any]] = [
        {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas
    ]
    finish = "tool_calls" if turn.calls else "stop"
    chunks.append({**head, "choices": [{"index": 0, "delta": {}, "finish_reason": finish}]})
    chunks.append({**head, "choices": [], "usage": _usage(turn)})
    return [f"data: {json.dumps(chunk)}\n\n".encode() for chunk in chunks] + [b"data: [DONE]\n\n"]


@contextmanager
def serving_actor(*names: str) -> Iterator[tuple[Actor, Program, str]]:
    """An actor, the gateway and its URL. The actor is its Anthropic, and its `names` in OpenAI's dialect."""
    with acting() as actor:
        base = f"http://127.0.0.1:{actor.port}"
        env = {"ANTHROPIC_BASE_URL": base, "ANTHROPIC_API_KEY": "not-a-key-anthropic"}
        for name in names:
            env |= {f"{name.upper()}_BASE_URL": f"{base}/v1", f"{name.upper()}_API_KEY": f"not-a-key-{name}"}
        with serving("--store", "memory", env=env) as (program, port):
            yield actor, program, f"http://127.0.0.1:{port}"
        assert program.err == [], program.err
