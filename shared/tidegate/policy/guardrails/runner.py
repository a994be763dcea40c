"""Runs the guardrails of one call over its prompt and its answer, streamed or not."""

import hashlib
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from functools import cached_property, partial
from typing import TypeVar, cast

from msgspec import Struct
from msgspec.structs import replace

from tidegate.chat.completion import Chunk, Delta
from tidegate.domain.call import Call
from tidegate.domain.guardrails import QUICK_KINDS, GuardrailBackend, Stage, StreamMode
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
from tidegate.policy.guardrails.detectors import CHARACTERS_PER_TEXT, LONG_CHARACTERS, SEPARATOR
from tidegate.policy.guardrails.protocol import GuardDryRun
from tidegate.policy.guardrails.window import Blocked, GuardrailFinding

log = logging.getLogger(__name__)

MAX_HELD_BYTES = 32 * 1024 * 1024
"""The limit of a streamed answer that is held back until it is complete."""

QUICK_BYTES = 8 * 1024
"""Up to this size, a prompt is checked before its call is booked."""

_GRAVITY = ("pass", "mask", "unavailable", "block")

_T = TypeVar("_T")


class ActiveGuardrails(Struct, frozen=True, dict=True):
    """The guardrails that run on a call, in their order, and what depends on them alone."""

    guardrails: tuple[ActiveGuardrail, ...]
    open_backend: Callable[[], GuardrailBackend] | None
    clock: Callable[[], float]

    def guard(self, call: Call) -> "GuardRun":
        """Return the guard of one call."""
        return GuardRun(self, call)

    @cached_property
    def on_input(self) -> tuple[ActiveGuardrail, ...]:
        """Those that check the prompt."""
        return tuple(active for active in self.guardrails if active.guardrail.runs_on("input"))

    @cached_property
    def on_output(self) -> tuple[ActiveGuardrail, ...]:
        """Those that check the answer."""
        return tuple(active for active in self.guardrails if active.guardrail.runs_on("output"))

    @cached_property
    def searches(self) -> Mapping[Stage, tuple[Callable[[str], bool] | None, Sequence[str]]]:
        """By stage: what tells if its guardrails find anything in a text, see `detectors.joint_search`; their names."""
        stages: dict[Stage, tuple[ActiveGuardrail, ...]] = {"input": self.on_input, "output": self.on_output}
        return {
            stage: (
                detectors.joint_search([each.guardrail for each in selected]),
                [each.guardrail.name for each in selected],
            )
            for stage, selected in stages.items()
        }

    @cached_property
    def with_schema(self) -> tuple[ActiveGuardrail, ...]:
        """Those that check the answer as a whole, by a schema."""
        return tuple(active for active in self.on_output if active.guardrail.kind == "json_schema")

    @cached_property
    def are_quick(self) -> bool:
        """True if a short prompt is checked in less time than it takes to book a call."""
        return not self.with_schema and all(active.guardrail.kind in QUICK_KINDS for active in self.on_input)

    @cached_property
    def names(self) -> str:
        return ", ".join(active.guardrail.name for active in self.guardrails)

    @cached_property
    def fingerprint(self) -> str:
        """A digest of the guardrails with all their fields."""
        return hashlib.sha256(encode([active.guardrail for active in self.guardrails])).hexdigest()


class GuardRun(Struct, frozen=True):
    """Implements `protocol.Guard`: runs the guardrails in order. `unavailable` names those that failed on this call."""

    active: ActiveGuardrails
    call: Call
    unavailable: set[str] = set()
    verdicts: dict[str, str] = {}
    schemas: dict[str, Schema | None] = {}

    @property
    def context(self) -> GuardContext:
        return GuardContext(self.call, self.active.open_backend, self.active.clock)

    @property
    def header(self) -> str:
        """The names of the guardrails, with their mode for a stream: "pii;mode=window, length"."""
        if not self.call.request.stream:
            return self.active.names
        return ", ".join(
            f"{each.guardrail.name};mode={self.mode}" if each.guardrail.runs_on("output") else each.guardrail.name
            for each in self.active.guardrails
        )

    @property
    def fingerprint(self) -> str:
        return self.active.fingerprint

    @property
    def mode(self) -> StreamMode:
        """How a stream is checked: "buffer" if a guardrail needs it, or for logprobs and audio, which cannot lag."""
        if not self.call.request.streams_plain_text:
            return "buffer"
        modes = [each.guardrail.stream_mode for each in self.active.on_output]
        return "buffer" if "buffer" in modes else "window"

    @property
    def buffers_stream(self) -> bool:
        return bool(self.active.on_output) and self.mode == "buffer"

    @property
    def is_quick(self) -> bool:
        return self.active.are_quick and self.call.request.size <= QUICK_BYTES

    async def check_prompt(self, call: Call) -> Call:
        """Mask the prompt of the call. Raises `GuardrailViolation`, `GuardrailUnavailable` and `InvalidRequest`."""
        for each in self.active.with_schema:
            await self._run_one(each, "output", self._schema(each))
        # They read the translation: what only the body as sent has, they do not see.
        if call.request.origin is not None:
            call = replace(call, request=call.request.translated())
        if not self.active.on_input:
            return call
        request, operation = call.request, call.operation
        if request.size <= LONG_CHARACTERS:
            if self._finds_nothing("input", operation.searched_request_texts, request):
                return call
            found = operation.request_texts(request)
        else:
            search = partial(self._finds_nothing, "input", operation.searched_request_texts, request, in_thread=True)
            if await _offload(call, search):
                return call
            found = await _offload(call, partial(operation.request_texts, request))
        changed = await self._run_all(self.active.on_input, "input", found)
        return call if changed is found else await _offload(call, partial(_with_texts, call, changed))

    async def check_reply(self, reply: Reply) -> Reply:
        """Return the answer, masked where needed; the object itself if nothing had to change."""
        operation = self.call.operation
        if self.active.on_output and not self._finds_nothing("output", operation.searched_reply_texts, reply):
            found = operation.reply_texts(reply)
            changed = await self._run_all(self.active.on_output, "output", found)
            if changed is not found:
                reply = operation.with_reply_texts(reply, [each.text for each in changed])
        for each in self.active.with_schema:
            await self._run_one(each, "output", self._check_schema(each, reply))
        return reply

    async def check_stream(self, batches: AsyncIterator[Sequence[ReplyChunk]]) -> AsyncGenerator[Sequence[ReplyChunk]]:
        """Yield the chunks, masked where needed; see `mode`. Raises `GuardrailViolation` and `GuardrailUnavailable`."""
        if not self.active.on_output:
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
        for active in self.active.guardrails:
            verdict, error = "not_run", None
            if active.guardrail.runs_on("input"):
                verdict, found, error = await self._judge(active, found)
            elif active.guardrail.runs_on("output"):
                error = await self._schema_error(active)
                verdict = "not_run" if error is None else "block"
            verdicts.append({"name": active.guardrail.name, "on": active.guardrail.on, "verdict": verdict})
            first_error = first_error or error
        return GuardDryRun(verdicts, call if found == before else _with_texts(call, found), first_error)

    async def _judge(self, active: ActiveGuardrail, found: list[Text]) -> tuple[str, list[Text], TidegateError | None]:
        try:
            new_texts = await apply_guardrail(active, self.context, "input", found)
        except GuardrailViolation as error:
            return "block", found, error
        except GuardrailUnavailable as error:
            return "unavailable", found, error if active.guardrail.fails == "closed" else None
        changed = found if new_texts is None else _replace_texts(found, new_texts)
        return ("pass" if changed == found else "mask"), changed, None

    async def _schema_error(self, active: ActiveGuardrail) -> InvalidRequest | None:
        try:
            await self._run_one(active, "output", self._schema(active))
        except InvalidRequest as error:
            return error
        return None

    def _finds_nothing(
        self, stage: Stage, list_texts: Callable[[_T], Sequence[str]], checked: _T, *, in_thread: bool = False
    ) -> bool:
        """True if one search of all texts of `checked` tells that the stage's guardrails pass them, as on most calls.

        `_run_all` finds out the same, and for other texts what is in them, and where.
        """
        search, names = self.active.searches[stage]
        if search is None:
            return False
        texts = list_texts(checked)
        joined = SEPARATOR.join(texts)
        is_long = len(joined) + CHARACTERS_PER_TEXT * len(texts) > LONG_CHARACTERS
        if (is_long and not in_thread) or search(joined):
            return False
        verdicts = self.verdicts
        for name in names:
            if name not in verdicts:
                verdicts[name] = "pass"
        return True

    async def _run_all(self, guardrails: Sequence[ActiveGuardrail], stage: Stage, found: list[Text]) -> list[Text]:
        """Return the texts, masked where needed; `found` itself if nothing had to change."""
        context = self.context
        for active in guardrails:
            new_texts = await self._run_one(active, stage, apply_guardrail(active, context, stage, found))
            self._judge_as("pass", active.guardrail.name)
            if new_texts is None:
                continue
            changed = _replace_texts(found, new_texts)
            if changed != found:
                self._log("guardrail.masked", active.guardrail.name, stage)
                self._judge_as("mask", active.guardrail.name)
                found = changed
        return found

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
            answers = self.call.operation.checkable_answers(reply)
            await run_in_thread(partial(check_conformity, active.guardrail, schema, answers))

    async def _schema(self, active: ActiveGuardrail) -> Schema | None:
        """Return `answer_schema`, parsed once for the call, and in a thread: a caller's schema may be large."""
        name = active.guardrail.name
        if active.guardrail.kind != "json_schema":
            return None
        if name not in self.schemas:
            self.schemas[name] = await run_in_thread(partial(answer_schema, active, self.call))
        return self.schemas[name]

    async def _check_buffered(self, batches: AsyncIterator[Sequence[ReplyChunk]]) -> Sequence[ReplyChunk]:
        """Read the whole stream; return its chunks, or new chunks if the answer had to be masked."""
        operation = self.call.operation
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
        lag = max(active.guardrail.window_characters for active in self.active.on_output)
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
        if self._finds_nothing("output", list[str], [text]):
            return found
        for active in self.active.on_output:
            if active.guardrail.name in self.unavailable:
                continue
            findings = await self._run_one(active, "output", detectors.find_in_texts(active.guardrail, [text]))
            found += [(active.guardrail, finding) for finding in (findings[0] if findings else ())]
            is_masked = bool(findings and findings[0]) and active.guardrail.action == "mask"
            self._judge_as("mask" if is_masked else "pass", active.guardrail.name)
        return found

    async def _rewrite(self, arguments: str) -> str:
        operation = self.call.operation
        found = operation.argument_texts(arguments)
        changed = await self._run_all(self.active.on_output, "output", found)
        if changed is found:
            return arguments
        return operation.with_argument_texts(arguments, [each.text for each in changed])

    def _judge_as(self, verdict: str, name: str) -> None:
        """Record the verdict, unless the guardrail has a graver one."""
        earlier = self.verdicts.get(name, "pass")
        self.verdicts[name] = verdict if verdict == earlier else max(earlier, verdict, key=_GRAVITY.index)

    def _log(self, event: str, name: str, stage: Stage) -> None:
        log.info(event, extra=self._extra(name, stage))

    def _extra(self, name: str, stage: Stage) -> dict[str, str]:
        return {"call_id": self.call.id, "guardrail": name, "stage": stage}


def _with_texts(call: Call, changed: list[Text]) -> Call:
    """Return the call with the changed texts in its request."""
    new_texts = [each.text for each in changed]
    return replace(call, request=call.operation.with_request_texts(call.request, new_texts))


async def _offload(call: Call, work: Callable[[], _T]) -> _T:
    return await offload(call.request.size, work, LONG_CHARACTERS)


def _replace_texts(found: list[Text], new_texts: Sequence[str]) -> list[Text]:
    pairs = zip(found, new_texts, strict=True)
    return [each if each.text is text else replace(each, text=text) for each, text in pairs]


def _delta_chunk(chunk: Chunk, index: int, delta: Delta) -> Chunk:
    return cast(Chunk, {**chunk, "choices": [{"index": index, "delta": delta, "finish_reason": None}]})
