"""Runs the guardrails of one call over its prompt and its answer, streamed or not."""

import hashlib
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing
from functools import partial
from typing import TypeVar, cast

from msgspec import Struct, field
from msgspec.structs import replace

from tidegate.chat.completion import Chunk, Delta
from tidegate.domain.call import Call
from tidegate.domain.guardrails import Stage, StreamMode
from tidegate.domain.operation import Reply, ReplyChunk, Text
from tidegate.errors import GuardrailUnavailable, GuardrailViolation, InvalidRequest, TidegateError
from tidegate.json import Json, encode
from tidegate.offload import offload, run_in_thread
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
"""The limit of a streamed answer that is held back until it is complete."""

_GRAVITY = ("pass", "mask", "unavailable", "block")

_T = TypeVar("_T")


class GuardRun(Struct, frozen=True):
    """Implements `protocol.Guard`: runs `guardrails` in order. `unavailable` names those that failed on this call."""

    guardrails: tuple[ActiveGuardrail, ...]
    context: GuardContext
    unavailable: set[str] = field(default_factory=set[str])
    verdicts: dict[str, str] = field(default_factory=dict[str, str])
    schemas: dict[str, Schema | None] = field(default_factory=dict[str, Schema | None])

    @property
    def header(self) -> str:
        """The names of the guardrails, with their mode for a stream: "pii;mode=window, length"."""
        return ", ".join(
            f"{active.guardrail.name};mode={self.mode}"
            if self.context.call.request.stream and active.guardrail.runs_on("output")
            else active.guardrail.name
            for active in self.guardrails
        )

    @property
    def fingerprint(self) -> str:
        """A digest of the guardrails with all their fields."""
        return hashlib.sha256(encode([active.guardrail for active in self.guardrails])).hexdigest()

    @property
    def mode(self) -> StreamMode:
        """How a stream is checked: "buffer" if a guardrail needs it, or for logprobs and audio, which cannot lag."""
        if not self.context.call.request.streams_plain_text:
            return "buffer"
        modes = [active.guardrail.stream_mode for active in self._active_on("output")]
        return "buffer" if "buffer" in modes else "window"

    @property
    def buffers_stream(self) -> bool:
        return bool(self._active_on("output")) and self.mode == "buffer"

    async def check_prompt(self, call: Call) -> Call:
        """Mask the prompt of the call. Raises `GuardrailViolation`, `GuardrailUnavailable` and `InvalidRequest`."""
        checks_answers = self._active_on("output")
        for active in checks_answers:
            await self._run_one(active, "output", self._schema(active))
        if self.guardrails:  # they read the translation: what only the body as sent has, they would not see
            translated = call.request.translated()
            call = call if translated is call.request else replace(call, request=translated)
        guardrails = self._active_on("input")
        if not guardrails:
            return call
        found = await _offload(call, partial(call.operation.request_texts, call.request))
        changed = _replace_texts(found, await self._run_all(guardrails, "input", found))
        return await _offload(call, partial(_with_texts, call, found, changed))

    async def check_reply(self, reply: Reply) -> Reply:
        """Return the answer, masked where needed; the object itself if nothing had to change."""
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
        """Yield the chunks, masked where needed; see `mode`. Raises `GuardrailViolation` and `GuardrailUnavailable`."""
        if not self._active_on("output"):
            async for batch in batches:
                yield batch
        elif self.buffers_stream:
            yield await self._check_buffered(batches)
        else:
            try:
                async with aclosing(self._scan_windows(batches)) as windowed:
                    async for batch in windowed:
                        yield batch
            except Blocked as blocked:
                self._log("guardrail.violated", blocked.guardrail.name, "output")
                self._judge_as("block", blocked.guardrail.name)
                raise violation_error(blocked.guardrail, "output") from None

    async def dry_run(self, call: Call) -> GuardDryRun:
        """See `Guard.dry_run`. After a violation the other guardrails still run, on the unmasked texts."""
        verdicts: list[Json] = []
        first_error: TidegateError | None = None
        before = found = await _offload(call, partial(call.operation.request_texts, call.request))
        for active in self.guardrails:
            verdict, error = "not_run", None
            if active.guardrail.runs_on("input"):
                verdict, found, error = await self._judge(active, found)
            elif active.guardrail.runs_on("output"):
                error = await self._schema_error(active)
                verdict = "not_run" if error is None else "block"
            verdicts.append({"name": active.guardrail.name, "on": active.guardrail.on, "verdict": verdict})
            first_error = first_error or error
        return GuardDryRun(verdicts, _with_texts(call, before, found), first_error)

    async def _judge(self, active: ActiveGuardrail, found: list[Text]) -> tuple[str, list[Text], TidegateError | None]:
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
        return [active for active in self.guardrails if active.guardrail.runs_on(stage)]

    async def _run_all(self, guardrails: Sequence[ActiveGuardrail], stage: Stage, found: list[Text]) -> list[str]:
        for active in guardrails:
            new_texts = await self._run_one(active, stage, apply_guardrail(active, self.context, stage, found))
            changed = found if new_texts is None else _replace_texts(found, new_texts)
            self._judge_as("pass", active.guardrail.name)
            if changed != found:
                self._log("guardrail.masked", active.guardrail.name, stage)
                self._judge_as("mask", active.guardrail.name)
            found = changed
        return [each.text for each in found]

    async def _run_one(self, active: ActiveGuardrail, stage: Stage, work: Awaitable[_T]) -> _T | None:
        """Await `work`, and log its failure. None if the guardrail is unavailable and fails open."""
        name = active.guardrail.name
        try:
            return await work
        except GuardrailViolation:
            self._log("guardrail.violated", name, stage)
            self._judge_as("block", name)
            raise
        except GuardrailUnavailable:
            log.warning("guardrail.unavailable", extra=self._extra(name, stage))
            self._judge_as("unavailable", name)
            self.unavailable.add(name)
            if active.guardrail.fails == "closed":
                raise
            return None

    async def _check_schema(self, active: ActiveGuardrail, reply: Reply) -> None:
        schema = await self._schema(active)
        if schema is not None:
            answers = self.context.call.operation.checkable_answers(reply)
            await run_in_thread(partial(check_conformity, active.guardrail, schema, answers))

    async def _schema(self, active: ActiveGuardrail) -> Schema | None:
        """Return `answer_schema`, parsed once for the call, and in a thread: a caller's schema may be large."""
        name = active.guardrail.name
        if active.guardrail.kind != "json_schema":
            return None
        if name not in self.schemas:
            self.schemas[name] = await run_in_thread(partial(answer_schema, active, self.context.call))
        return self.schemas[name]

    async def _check_buffered(self, batches: AsyncIterator[Sequence[ReplyChunk]]) -> Sequence[ReplyChunk]:
        """Read the whole stream; return its chunks, or new chunks if the answer had to be masked."""
        operation = self.context.call.operation
        held: list[ReplyChunk] = []
        assembler, size = operation.assembler(), 0
        async for batch in batches:
            size += len(encode(batch))
            if size > MAX_HELD_BYTES:
                raise GuardrailUnavailable(f"The answer has more than {MAX_HELD_BYTES} bytes: too long to be checked.")
            for chunk in batch:
                assembler.add(chunk)
            held += batch
        reply = assembler.reply()
        checked = await self.check_reply(reply)
        return held if checked is reply else operation.replay(checked)

    async def _scan_windows(self, batches: AsyncIterator[Sequence[ReplyChunk]]) -> AsyncGenerator[Sequence[ReplyChunk]]:
        lag = max(active.guardrail.window_characters for active in self._active_on("output"))
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
            is_masked = bool(findings and findings[0]) and active.guardrail.action == "mask"
            self._judge_as("mask" if is_masked else "pass", active.guardrail.name)
        return found

    async def _rewrite(self, arguments: str) -> str:
        operation = self.context.call.operation
        found = operation.argument_texts(arguments)
        new_texts = await self._run_all(self._active_on("output"), "output", found)
        is_unchanged = new_texts == [each.text for each in found]
        return arguments if is_unchanged else operation.with_argument_texts(arguments, new_texts)

    def _judge_as(self, verdict: str, name: str) -> None:
        """Record the verdict, unless the guardrail has a graver one."""
        earlier = self.verdicts.get(name, "pass")
        self.verdicts[name] = max(earlier, verdict, key=_GRAVITY.index)

    def _log(self, event: str, name: str, stage: Stage) -> None:
        log.info(event, extra=self._extra(name, stage))

    def _extra(self, name: str, stage: Stage) -> dict[str, str]:
        return {"call_id": self.context.call.id, "guardrail": name, "stage": stage}


def _with_texts(call: Call, found: list[Text], changed: list[Text]) -> Call:
    """Return the call with the changed texts in its request."""
    if changed == found:
        return call
    new_texts = [each.text for each in changed]
    return replace(call, request=call.operation.with_request_texts(call.request, new_texts))


async def _offload(call: Call, work: Callable[[], _T]) -> _T:
    return await offload(call.request.size, work, detectors.LONG_CHARACTERS)


def _replace_texts(found: list[Text], new_texts: Sequence[str]) -> list[Text]:
    pairs = zip(found, new_texts, strict=True)
    return [each if each.text is text else replace(each, text=text) for each, text in pairs]


def _delta_chunk(chunk: Chunk, index: int, delta: Delta) -> Chunk:
    return cast(Chunk, {**chunk, "choices": [{"index": index, "delta": delta, "finish_reason": None}]})
