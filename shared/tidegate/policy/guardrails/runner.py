"""The guardrails of one call, over its prompt and its answer, whole or streamed."""

import hashlib
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing
from functools import partial
from typing import TypeVar, cast

from anyio import to_thread
from msgspec import Struct, field
from msgspec.structs import replace

from tidegate.chat.completion import Chunk, Delta
from tidegate.domain.call import Call
from tidegate.domain.guardrails import Stage, StreamMode
from tidegate.domain.operation import Reply, ReplyChunk, Text
from tidegate.errors import GuardrailUnavailable, GuardrailViolation, InvalidRequest, TidegateError
from tidegate.json import Json, encode
from tidegate.policy.guardrails import detectors
from tidegate.policy.guardrails.checks import (
    ActiveGuardrail,
    GuardContext,
    Schema,
    answer_schema,
    apply_guardrail,
    check_conformity,
    violation_error,
)
from tidegate.policy.guardrails.choice_stream import GuardedChoiceStream
from tidegate.policy.guardrails.protocol import GuardDryRun
from tidegate.policy.guardrails.window import Blocked, GuardrailFinding

log = logging.getLogger(__name__)

MAX_HELD_BYTES = 32 * 1024 * 1024
"""Of a stream that is held until its end."""

_T = TypeVar("_T")


class GuardRun(Struct, frozen=True):
    """What runs on the call of `bench`, in order. See `protocol.py` for what the gateway asks of it."""

    guardrails: tuple[ActiveGuardrail, ...]
    context: GuardContext
    unavailable: set[str] = field(default_factory=set[str])
    schemas: dict[str, Schema | None] = field(default_factory=dict[str, Schema | None])

    @property
    def header(self) -> str:
        """Which guardrails run, and how they check a stream: "pii;mode=window, length"."""
        return ", ".join(
            f"{rail.guardrail.name};mode={self.mode}"
            if self.context.call.request.stream and rail.guardrail.runs_on("output")
            else rail.guardrail.name
            for rail in self.guardrails
        )

    @property
    def fingerprint(self) -> str:
        """A digest of what runs, each as it is written."""
        return hashlib.sha256(encode([rail.guardrail for rail in self.guardrails])).hexdigest()

    @property
    def mode(self) -> StreamMode:
        """How the stream is checked: held as a whole where one guardrail wants that, or what cannot lag behind."""
        if not self.context.call.request.streams_plain_text:
            return "buffer"
        return (
            "buffer" if any(rail.guardrail.stream_mode == "buffer" for rail in self._active_on("output")) else "window"
        )

    @property
    def buffers_stream(self) -> bool:
        """See `Guard.holds`."""
        return bool(self._active_on("output")) and self.mode == "buffer"

    async def check_prompt(self, call: Call) -> Call:
        """The call as it may be made. Raises `GuardrailViolation`, `GuardrailUnavailable` and `InvalidRequest`."""
        for active in self._active_on("output"):
            await self._run_one(active, "output", self._schema(active))
        guardrails = self._active_on("input")
        if not guardrails:
            return call
        found = await _offload_long(call, partial(call.operation.request_texts, call.request))
        changed = _replace_texts(found, await self._run_all(guardrails, "input", found))
        return await _offload_long(call, partial(_with_texts, call, found, changed))

    async def check_reply(self, reply: Reply) -> Reply:
        """The answer as it may be passed on: the same object where nothing had to change.

        Raises `GuardrailViolation` and `GuardrailUnavailable`.
        """
        guardrails = self._active_on("output")
        operation = self.context.call.operation
        found = operation.reply_texts(reply)
        new_texts = await self._run_all(guardrails, "output", found)
        if new_texts != [each.text for each in found]:
            reply = operation.with_reply_texts(reply, new_texts)
        for active in guardrails:
            await self._run_one(active, "output", self._check_schema(active, reply))
        return reply

    async def check_stream(self, batches: AsyncIterator[Sequence[ReplyChunk]]) -> AsyncGenerator[Sequence[ReplyChunk]]:
        """The chunks as they may be passed on, see `mode`. Raises `GuardrailViolation` and `GuardrailUnavailable`."""
        if not self._active_on("output"):
            async for batch in batches:
                yield batch
        elif self.buffers_stream:
            yield await self._check_buffered(batches)
        else:
            try:
                async with aclosing(self._check_windowed(batches)) as windowed:
                    async for batch in windowed:
                        yield batch
            except Blocked as blocked:
                self._log("guardrail.violated", blocked.guardrail.name, "output")
                raise violation_error(blocked.guardrail, "output") from None

    async def dry_run(self, call: Call) -> GuardDryRun:
        """See `Guard.rehearse`. After a violation the others are still asked: of the texts as they were."""
        verdicts: list[Json] = []
        first_error: TidegateError | None = None
        before = found = await _offload_long(call, partial(call.operation.request_texts, call.request))
        for active in self.guardrails:
            verdict, error = "not_run", None
            if active.guardrail.runs_on("input"):
                verdict, found, error = await self._verdict(active, found)
            elif active.guardrail.runs_on("output"):
                error = await self._schema_error(active)
                verdict = "not_run" if error is None else "block"
            verdicts.append({"name": active.guardrail.name, "on": active.guardrail.on, "verdict": verdict})
            first_error = first_error or error
        return GuardDryRun(verdicts, _with_texts(call, before, found), first_error)

    async def _verdict(
        self, active: ActiveGuardrail, found: list[Text]
    ) -> tuple[str, list[Text], TidegateError | None]:
        try:
            new_texts = await apply_guardrail(active, self.context, "input", found)
        except GuardrailViolation as error:
            return "block", found, error
        except GuardrailUnavailable as error:
            return "unavailable", found, error if active.guardrail.fails == "closed" else None
        changed = _replace_texts(found, new_texts)
        return ("pass" if changed == found else "mask"), changed, None

    async def _schema_error(self, active: ActiveGuardrail) -> InvalidRequest | None:
        try:
            await self._run_one(active, "output", self._schema(active))
        except InvalidRequest as error:
            return error
        return None

    def _active_on(self, stage: Stage) -> list[ActiveGuardrail]:
        return [rail for rail in self.guardrails if rail.guardrail.runs_on(stage)]

    async def _run_all(self, guardrails: Sequence[ActiveGuardrail], stage: Stage, found: list[Text]) -> list[str]:
        for active in guardrails:
            new_texts = await self._run_one(active, stage, apply_guardrail(active, self.context, stage, found))
            changed = found if new_texts is None else _replace_texts(found, new_texts)
            if changed != found:
                self._log("guardrail.masked", active.guardrail.name, stage)
            found = changed
        return [each.text for each in found]

    async def _run_one(self, active: ActiveGuardrail, stage: Stage, work: Awaitable[_T]) -> _T | None:
        """What `work` gives; None where it cannot be done, and the guardrail fails open."""
        try:
            return await work
        except GuardrailViolation:
            self._log("guardrail.violated", active.guardrail.name, stage)
            raise
        except GuardrailUnavailable:
            log.warning("guardrail.unavailable", extra=self._extra(active.guardrail.name, stage))
            self.unavailable.add(active.guardrail.name)
            if active.guardrail.fails == "closed":
                raise
            return None

    async def _check_schema(self, active: ActiveGuardrail, reply: Reply) -> None:
        schema = await self._schema(active)
        if schema is not None:
            answers = self.context.call.operation.checkable_answers(reply)
            await to_thread.run_sync(check_conformity, active.guardrail, schema, answers)

    async def _schema(self, active: ActiveGuardrail) -> Schema | None:
        """What answers have to conform to; None where that is nothing. Read once, in a thread: it is a caller's."""
        name = active.guardrail.name
        if active.guardrail.kind != "json_schema":
            return None
        if name not in self.schemas:
            self.schemas[name] = await to_thread.run_sync(answer_schema, active, self.context.call)
        return self.schemas[name]

    async def _check_buffered(self, batches: AsyncIterator[Sequence[ReplyChunk]]) -> Sequence[ReplyChunk]:
        """All of the stream at once, as it came, or else as another answer amounts to one."""
        operation = self.context.call.operation
        held: list[ReplyChunk] = []
        assembler, size = operation.assembler(), 0
        async for batch in batches:
            size += len(encode(batch))
            if size > MAX_HELD_BYTES:
                raise GuardrailUnavailable(f"The answer is too long to be checked: more than {MAX_HELD_BYTES} bytes.")
            for chunk in batch:
                assembler.add(chunk)
            held += batch
        reply = assembler.reply()
        checked = await self.check_reply(reply)
        return held if checked is reply else operation.replay(checked)

    async def _check_windowed(
        self, batches: AsyncIterator[Sequence[ReplyChunk]]
    ) -> AsyncGenerator[Sequence[ReplyChunk]]:
        lag = max(rail.guardrail.window_characters for rail in self._active_on("output"))
        streams: dict[int, GuardedChoiceStream] = {}
        last: Chunk | None = None
        async for batch in batches:
            out: list[Chunk] = []
            for chunk in cast("Sequence[Chunk]", batch):  # chat alone streams plain text
                last = chunk if chunk["choices"] else last
                if not chunk["choices"]:
                    out.append(chunk)
                for choice in chunk["choices"]:
                    stream = streams.setdefault(choice["index"], GuardedChoiceStream(self._scan, lag, self._rewrite))
                    out += [cast(Chunk, {**chunk, "choices": [each]}) for each in await stream.add(choice)]
            if out:
                yield out
        for index, stream in streams.items():
            deltas = await stream.finish()
            if deltas and last is not None:
                yield [_delta_chunk(last, index, delta) for delta in deltas]

    async def _scan(self, text: str) -> list[GuardrailFinding]:
        found: list[GuardrailFinding] = []
        for active in self._active_on("output"):
            if active.guardrail.name in self.unavailable:
                continue
            findings = await self._run_one(active, "output", detectors.find_in_texts(active.guardrail, [text]))
            found += [(active.guardrail, finding) for finding in (findings[0] if findings else ())]
        return found

    async def _rewrite(self, arguments: str) -> str:
        operation = self.context.call.operation
        found = operation.argument_texts(arguments)
        new_texts = await self._run_all(self._active_on("output"), "output", found)
        return (
            arguments
            if new_texts == [each.text for each in found]
            else operation.with_argument_texts(arguments, new_texts)
        )

    def _log(self, event: str, name: str, stage: Stage) -> None:
        log.info(event, extra=self._extra(name, stage))

    def _extra(self, name: str, stage: Stage) -> dict[str, str]:
        return {"call_id": self.context.call.id, "guardrail": name, "stage": stage}


def _with_texts(call: Call, found: list[Text], changed: list[Text]) -> Call:
    """The call with other texts, in both views of its request."""
    if changed == found:
        return call
    new_texts = [each.text for each in changed]
    return replace(call, request=call.operation.with_request_texts(call.request, new_texts))


async def _offload_long(call: Call, work: Callable[[], _T]) -> _T:
    """What pure `work` gives. That of a long request is done beside the other calls."""
    return await to_thread.run_sync(work) if call.request.size > detectors.LONG_CHARACTERS else work()


def _replace_texts(found: list[Text], new_texts: Sequence[str]) -> list[Text]:
    return [
        each if each.text is text else replace(each, text=text) for each, text in zip(found, new_texts, strict=True)
    ]


def _delta_chunk(chunk: Chunk, index: int, delta: Delta) -> Chunk:
    return cast(Chunk, {**chunk, "choices": [{"index": index, "delta": delta, "finish_reason": None}]})
