"""Answers requests to the demo provider, inside the process.

It answers with the bytes of OpenAI's dialect, so that a demo call is translated, streamed and metered like any other.
"""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from tidegate.json import Json, JsonObject, decode, encode
from tidegate.local.demo.answers import MODELS, Answer, Kind, new_tool_call_id, prompt_text, split_words
from tidegate.local.demo.faults import Fault, find_fault, unknown_model
from tidegate.local.demo.provider import DEMO_BASE_URL
from tidegate.local.demo.texts import ANSWERS
from tidegate.transport.base import HttpRequest, HttpResponse, StreamedResponse, Timeouts, Transport, connection_failure


class DemoTransport:
    """A transport that answers for the demo provider's URL, and passes all other requests on to `inner`."""

    def __init__(self, inner: Transport, pause_seconds: float = 0.02) -> None:
        self._inner = inner
        self._pause = pause_seconds

    def open(self, request: HttpRequest, timeouts: Timeouts) -> AbstractAsyncContextManager[HttpResponse]:
        """See `Transport.open`."""
        is_demo = request.url.startswith(DEMO_BASE_URL)
        return self._answer(request, timeouts) if is_demo else self._inner.open(request, timeouts)

    @asynccontextmanager
    async def _answer(self, request: HttpRequest, timeouts: Timeouts) -> AsyncGenerator[HttpResponse]:
        body = decode(request.body)
        fields: JsonObject = body if isinstance(body, dict) else {}
        model = str(fields.get("model"))
        texts = ANSWERS.get(request.url.removeprefix(DEMO_BASE_URL))
        models = MODELS if texts is None else texts
        if (fault := find_fault(model)) or model not in models:
            yield _WholeResponse(fault or unknown_model(model, ", ".join([*models, "error-400 to error-599"])))
            return
        if texts is not None:
            yield _WholeResponse(Fault(200, encode(texts[model](fields)), {"content-type": "application/json"}))
            return
        waiting = _Waiting(request, self._pause, timeouts.total)
        answer = MODELS[model](fields)
        await waiting.wait(answer.first_pause)
        if answer.is_silent:
            raise connection_failure(request, "demo/timeouts", connecting=False, timed_out=True)
        yield _DemoResponse(request, fields, answer, waiting)

    async def close(self) -> None:
        await self._inner.close()


class _Waiting:
    """Waits as the provider does, but not longer than the request's timeout."""

    def __init__(self, request: HttpRequest, pause_seconds: float, total_seconds: float) -> None:
        self._request = request
        self._pause = pause_seconds
        self._left = total_seconds

    async def wait(self, pauses: int) -> None:
        """Wait for this number of pauses. Raises `ProviderTimeout` once the request's time is over."""
        seconds = pauses * self._pause
        await asyncio.sleep(min(seconds, self._left))
        self._left -= seconds
        if self._left < 0:
            raise connection_failure(self._request, "the timeout is over", connecting=False, timed_out=True)


class _WholeResponse(StreamedResponse):
    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.status, fault.headers.items())
        self._body = fault.body

    async def chunks(self) -> AsyncGenerator[bytes]:
        yield self._body


class _DemoResponse(StreamedResponse):
    def __init__(self, request: HttpRequest, fields: JsonObject, answer: Answer, waiting: _Waiting) -> None:
        self._streams = fields.get("stream") is True
        super().__init__(200, [("content-type", "text/event-stream" if self._streams else "application/json")])
        self._request = request
        self._prompt_tokens = len(split_words(prompt_text(fields)))
        self._answer = answer
        self._waiting = waiting
        limit = fields.get("max_completion_tokens") or fields.get("max_tokens")
        self._limit = limit if isinstance(limit, int) else None
        self._pieces = answer.pieces(self._limit)

    async def chunks(self) -> AsyncGenerator[bytes]:
        if not self._streams:
            if self._answer.is_cut:
                raise self._broken()
            yield self._completion()
            return
        yield _stream_event([_stream_choice({"role": "assistant", "content": "" if self._pieces else None})])
        sent = len(self._pieces) // 2 if self._answer.is_cut else len(self._pieces)
        has_call = False
        for kind, word in self._pieces[:sent]:
            await self._waiting.wait(self._answer.pause)
            yield _stream_event([_stream_choice(self._delta(kind, word, is_first=not has_call))])
            has_call = has_call or kind == "arguments"
        if self._answer.is_cut:
            raise self._broken()
        yield _stream_event([_stream_choice({}, self._finish_reason())])
        yield _stream_event([], self._usage()) + b"data: [DONE]\n\n"

    def _completion(self) -> bytes:
        texts = {kind: "".join(word for each, word in self._pieces if each == kind) for kind, _ in self._pieces}
        message: JsonObject = {"role": "assistant", "content": texts.get("content")}
        if "reasoning" in texts:
            message["reasoning_content"] = texts["reasoning"]
        if "arguments" in texts:
            message["tool_calls"] = [self._tool_call(texts["arguments"])]
        choice: Json = {"index": 0, "message": message, "finish_reason": self._finish_reason()}
        usage: Json = {**self._usage()}
        return encode({"object": "chat.completion", "choices": [choice], "usage": usage})

    def _delta(self, kind: Kind, word: str, *, is_first: bool) -> JsonObject:
        match kind:
            case "content":
                return {"content": word}
            case "reasoning":
                return {"reasoning_content": word}
            case "arguments" if is_first:
                return {"tool_calls": [{"index": 0, **self._tool_call(word)}]}
            case "arguments":
                return {"tool_calls": [{"index": 0, "function": {"arguments": word}}]}

    def _tool_call(self, arguments: str) -> JsonObject:
        function: JsonObject = {"name": self._answer.tool_name, "arguments": arguments}
        return {"id": new_tool_call_id(), "type": "function", "function": function}

    def _finish_reason(self) -> str:
        if self._limit is not None and len(self._pieces) >= self._limit:
            return "length"
        return "tool_calls" if self._answer.tool_name else "stop"

    def _usage(self) -> Mapping[str, Json]:
        """Return the usage; one word counts as one token."""
        answered, thought = len(self._pieces), sum(kind == "reasoning" for kind, _ in self._pieces)
        usage: JsonObject = {
            "prompt_tokens": self._prompt_tokens,
            "completion_tokens": answered,
            "total_tokens": self._prompt_tokens + answered,
        }
        return {**usage, "completion_tokens_details": {"reasoning_tokens": thought}} if thought else usage

    def _broken(self) -> Exception:
        return connection_failure(self._request, "demo/cut", connecting=False)


def _stream_choice(delta: JsonObject, finish_reason: str | None = None) -> Json:
    return {"index": 0, "delta": delta, "finish_reason": finish_reason}


def _stream_event(choices: list[Json], usage: Mapping[str, Json] | None = None) -> bytes:
    chunk: JsonObject = {"object": "chat.completion.chunk", "choices": choices}
    if usage is not None:
        chunk["usage"] = {**usage}
    return b"data: %b\n\n" % encode(chunk)
