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

from tidegate.chat import replay
from tidegate.chat.assemble import Assembly
from tidegate.chat.completion import Chunk, Completion, Delta
from tidegate.chat.parse import build
from tidegate.domain.call import Call
from tidegate.domain.guardrails import Mode, Stage
from tidegate.errors import GuardrailUnavailable, GuardrailViolation, InvalidRequest, TidegateError
from tidegate.json import Json, encode
from tidegate.policy.guardrails import detectors, texts
from tidegate.policy.guardrails.checks import Bench, Rail, Schema, check_conformity, passed, schema_of, violation
from tidegate.policy.guardrails.choice_stream import Voice
from tidegate.policy.guardrails.protocol import Rehearsed
from tidegate.policy.guardrails.texts import Text
from tidegate.policy.guardrails.window import Blocked, Found

log = logging.getLogger(__name__)

MAX_HELD_BYTES = 32 * 1024 * 1024
"""Of a stream that is held until its end."""

_T = TypeVar("_T")


class Guarding(Struct, frozen=True):
    """What runs on the call of `bench`, in order. See `protocol.py` for what the gateway asks of it."""

    rails: tuple[Rail, ...]
    bench: Bench
    given_up: set[str] = field(default_factory=set[str])
    schemas: dict[str, Schema | None] = field(default_factory=dict[str, Schema | None])

    @property
    def header(self) -> str:
        """Which guardrails run, and how they check a stream: "pii;mode=window, length"."""
        return ", ".join(
            f"{rail.guardrail.name};mode={self.mode}"
            if self.bench.call.request.stream and rail.guardrail.runs_on("output")
            else rail.guardrail.name
            for rail in self.rails
        )

    @property
    def fingerprint(self) -> str:
        """A digest of what runs, each as it is written."""
        return hashlib.sha256(encode([rail.guardrail for rail in self.rails])).hexdigest()

    @property
    def mode(self) -> Mode:
        """How the stream is checked: held as a whole where one guardrail wants that, or what cannot lag behind."""
        body = self.bench.call.request.body
        modalities = body.get("modalities")
        if body.get("logprobs") or (isinstance(modalities, list) and "audio" in modalities):
            return "buffer"
        return "buffer" if any(rail.guardrail.mode == "buffer" for rail in self._on("output")) else "window"

    @property
    def holds(self) -> bool:
        """See `Guard.holds`."""
        return bool(self._on("output")) and self.mode == "buffer"

    async def prompt(self, call: Call) -> Call:
        """The call as it may be made. Raises `GuardrailViolation`, `GuardrailUnavailable` and `InvalidRequest`."""
        for rail in self._on("output"):
            await self._within(rail, "output", self._schema(rail))
        rails = self._on("input")
        if not rails:
            return call
        found = await _beside(call, partial(texts.of_body, call.request.body))
        changed = _changed(found, await self._over(rails, "input", found))
        return await _beside(call, partial(_rewritten, call, found, changed))

    async def completion(self, completion: Completion) -> Completion:
        """The answer as it may be passed on: the same object where nothing had to change.

        Raises `GuardrailViolation` and `GuardrailUnavailable`.
        """
        rails = self._on("output")
        found = texts.of_completion(completion)
        new = await self._over(rails, "output", found)
        if new != [each.text for each in found]:
            completion = texts.with_answers(completion, new)
        for rail in rails:
            await self._within(rail, "output", self._conform(rail, completion))
        return completion

    async def stream(self, batches: AsyncIterator[list[Chunk]]) -> AsyncGenerator[list[Chunk]]:
        """The chunks as they may be passed on, see `mode`. Raises `GuardrailViolation` and `GuardrailUnavailable`."""
        if not self._on("output"):
            async for batch in batches:
                yield batch
        elif self.holds:
            yield await self._held(batches)
        else:
            try:
                async with aclosing(self._windowed(batches)) as windowed:
                    async for batch in windowed:
                        yield batch
            except Blocked as blocked:
                self._log("guardrail.violated", blocked.guardrail.name, "output")
                raise violation(blocked.guardrail, "output") from None

    async def rehearse(self, call: Call) -> Rehearsed:
        """See `Guard.rehearse`. After a violation the others are still asked: of the texts as they were."""
        verdicts: list[Json] = []
        ends: TidegateError | None = None
        before = found = await _beside(call, partial(texts.of_body, call.request.body))
        for rail in self.rails:
            verdict, error = "not_run", None
            if rail.guardrail.runs_on("input"):
                verdict, found, error = await self._verdict(rail, found)
            elif rail.guardrail.runs_on("output"):
                error = await self._unfit(rail)
                verdict = "not_run" if error is None else "block"
            verdicts.append({"name": rail.guardrail.name, "on": rail.guardrail.on, "verdict": verdict})
            ends = ends or error
        return Rehearsed(verdicts, _rewritten(call, before, found), ends)

    async def _verdict(self, rail: Rail, found: list[Text]) -> tuple[str, list[Text], TidegateError | None]:
        try:
            new = await passed(rail, self.bench, "input", found)
        except GuardrailViolation as error:
            return "block", found, error
        except GuardrailUnavailable as error:
            return "unavailable", found, error if rail.guardrail.fails == "closed" else None
        changed = _changed(found, new)
        return ("pass" if changed == found else "mask"), changed, None

    async def _unfit(self, rail: Rail) -> InvalidRequest | None:
        try:
            await self._within(rail, "output", self._schema(rail))
        except InvalidRequest as error:
            return error
        return None

    def _on(self, stage: Stage) -> list[Rail]:
        return [rail for rail in self.rails if rail.guardrail.runs_on(stage)]

    async def _over(self, rails: Sequence[Rail], stage: Stage, found: list[Text]) -> list[str]:
        for rail in rails:
            new = await self._within(rail, stage, passed(rail, self.bench, stage, found))
            changed = found if new is None else _changed(found, new)
            if changed != found:
                self._log("guardrail.masked", rail.guardrail.name, stage)
            found = changed
        return [each.text for each in found]

    async def _within(self, rail: Rail, stage: Stage, work: Awaitable[_T]) -> _T | None:
        """What `work` gives; None where it cannot be done, and the guardrail fails open."""
        try:
            return await work
        except GuardrailViolation:
            self._log("guardrail.violated", rail.guardrail.name, stage)
            raise
        except GuardrailUnavailable:
            log.warning("guardrail.unavailable", extra=self._extra(rail.guardrail.name, stage))
            self.given_up.add(rail.guardrail.name)
            if rail.guardrail.fails == "closed":
                raise
            return None

    async def _conform(self, rail: Rail, completion: Completion) -> None:
        schema = await self._schema(rail)
        if schema is not None:
            await to_thread.run_sync(check_conformity, rail.guardrail, schema, completion)

    async def _schema(self, rail: Rail) -> Schema | None:
        """What answers have to conform to; None where that is nothing. Read once, in a thread: it is a caller's."""
        name = rail.guardrail.name
        if rail.guardrail.kind != "json_schema":
            return None
        if name not in self.schemas:
            self.schemas[name] = await to_thread.run_sync(schema_of, rail, self.bench.call)
        return self.schemas[name]

    async def _held(self, batches: AsyncIterator[list[Chunk]]) -> list[Chunk]:
        """All of the stream at once, as it came, or else as another answer amounts to one."""
        held: list[Chunk] = []
        assembly, size = Assembly(), 0
        async for batch in batches:
            size += len(encode(batch))
            if size > MAX_HELD_BYTES:
                raise GuardrailUnavailable(f"The answer is too long to be checked: more than {MAX_HELD_BYTES} bytes.")
            for chunk in batch:
                assembly.add(chunk)
            held += batch
        completion = assembly.completion()
        checked = await self.completion(completion)
        return held if checked is completion else list(replay.chunks(checked))

    async def _windowed(self, batches: AsyncIterator[list[Chunk]]) -> AsyncGenerator[list[Chunk]]:
        lag = max(rail.guardrail.window_characters for rail in self._on("output"))
        voices: dict[int, Voice] = {}
        last: Chunk | None = None
        async for batch in batches:
            out: list[Chunk] = []
            for chunk in batch:
                last = chunk if chunk["choices"] else last
                if not chunk["choices"]:
                    out.append(chunk)
                for choice in chunk["choices"]:
                    voice = voices.setdefault(choice["index"], Voice(self._scan, lag, self._rewrite))
                    out += [cast(Chunk, {**chunk, "choices": [each]}) for each in await voice.hear(choice)]
            if out:
                yield out
        for index, voice in voices.items():
            rest = await voice.end()
            if rest and last is not None:
                yield [_said(last, index, delta) for delta in rest]

    async def _scan(self, text: str) -> list[Found]:
        found: list[Found] = []
        for rail in self._on("output"):
            if rail.guardrail.name in self.given_up:
                continue
            searched = await self._within(rail, "output", detectors.find(rail.guardrail, [text]))
            found += [(rail.guardrail, finding) for finding in (searched[0] if searched else ())]
        return found

    async def _rewrite(self, arguments: str) -> str:
        found = texts.of_arguments(arguments)
        new = await self._over(self._on("output"), "output", found)
        return arguments if new == [each.text for each in found] else texts.with_values(arguments, new)

    def _log(self, event: str, name: str, stage: Stage) -> None:
        log.info(event, extra=self._extra(name, stage))

    def _extra(self, name: str, stage: Stage) -> dict[str, str]:
        return {"call_id": self.bench.call.id, "guardrail": name, "stage": stage}


def _rewritten(call: Call, found: list[Text], changed: list[Text]) -> Call:
    """The call with other texts, in both views of its request."""
    if changed == found:
        return call
    made = build(texts.with_texts(call.request.body, [each.text for each in changed]), call.request.size)
    return replace(call, request=replace(call.request, fields=made.fields, body=made.body))


async def _beside(call: Call, work: Callable[[], _T]) -> _T:
    """What pure `work` gives. That of a long request is done beside the other calls."""
    return await to_thread.run_sync(work) if call.request.size > detectors.LONG_CHARACTERS else work()


def _changed(found: list[Text], new: Sequence[str]) -> list[Text]:
    return [each if each.text is text else replace(each, text=text) for each, text in zip(found, new, strict=True)]


def _said(chunk: Chunk, index: int, delta: Delta) -> Chunk:
    return cast(Chunk, {**chunk, "choices": [{"index": index, "delta": delta, "finish_reason": None}]})
