"""One guardrail over the texts of a prompt or an answer: they pass, others take their places, or it is violated."""

from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from typing import TypeAlias, cast

import msgspec
from anyio import to_thread
from msgspec import Struct

from tidegate.chat.completion import Completion
from tidegate.chat.estimate import estimate_prompt
from tidegate.chat.parse import build
from tidegate.chat.request import ChatFields, ChatRequest, JsonObjectFormat, JsonSchemaFormat
from tidegate.domain.call import Call
from tidegate.domain.guardrails import Finding, Guardrail, Judge, Question, Stage
from tidegate.errors import GuardrailUnavailable, GuardrailViolation, InvalidRequest
from tidegate.json import Json, JsonObject, decode
from tidegate.policy.guardrails import detectors, injection
from tidegate.policy.guardrails.masking import masked
from tidegate.policy.guardrails.texts import Text

Schema: TypeAlias = dict[str, Json] | bool

_MAY_INSTRUCT = ("system", "developer")
"""Whose messages are the instructions: they may say that others are void."""


class Rail(Struct, frozen=True):
    """A guardrail on one call. `is_trusted`: the operator's own. `path` is where the caller named it."""

    guardrail: Guardrail
    is_trusted: bool = False
    path: str | None = None


class Bench(Struct, frozen=True):
    """What is known of the call that is judged, and who is asked; `left` are the seconds that it has."""

    call: Call
    judge: Judge | None
    left: Callable[[], float]


def violation(guardrail: Guardrail, stage: Stage, path: str | None = None) -> GuardrailViolation:
    """It names the guardrail and the field, never the text."""
    what = "request" if stage == "input" else "answer"
    return GuardrailViolation(f"The {what} violates the guardrail {guardrail.name!r}.", param=path)


async def passed(rail: Rail, bench: Bench, stage: Stage, texts: Sequence[Text]) -> list[str]:
    """The texts as they may pass. Raises `GuardrailViolation` and `GuardrailUnavailable`."""
    guardrail, plain = rail.guardrail, [each.text for each in texts]
    match guardrail.kind:
        case "max_input":
            await _check_length(guardrail, bench.call.request, plain)
        case "injection":
            await _check_each(guardrail, stage, texts, _is_suspicious)
        case "scripts":
            are_only = import_module("tidegate.policy.guardrails.scripts").are_only
            await _check_each(guardrail, stage, texts, lambda each: not are_only(guardrail.scripts, each.text))
        case "bedrock" | "webhook":
            return await _asked(rail, bench, stage, plain) if plain else plain
        case "json_schema":
            pass  # of an answer as a whole: `check_conformity`
        case _:
            return _masked(guardrail, stage, texts, await detectors.find(guardrail, plain))
    return plain


def schema_of(rail: Rail, call: Call) -> Schema | None:
    """What answers to the call have to conform to; None where that is nothing.

    Raises `InvalidRequest` where the caller's own cannot be checked, or there is none though the caller named this.
    """
    guardrail, asked = rail.guardrail, call.request.fields.response_format
    reading = import_module("tidegate.policy.guardrails.schema")
    if guardrail.schema is not None:
        try:
            return reading.parsed(guardrail.schema)
        except ValueError:
            raise GuardrailUnavailable(f"The guardrail {guardrail.name!r} has a schema that is none.") from None
    match asked:
        case JsonObjectFormat():
            return {"type": "object"}
        case JsonSchemaFormat(json_schema=wanted) if wanted.schema is not None:
            try:
                return reading.check(wanted.schema)
            except ValueError as error:
                raise InvalidRequest(
                    f"The guardrail {guardrail.name!r} cannot check against this schema: {error}",
                    param="response_format.json_schema.schema",
                ) from None
        case _ if rail.path is not None:
            raise InvalidRequest(
                f"The guardrail {guardrail.name!r} needs a response_format with a JSON schema.", param=rail.path
            )
        case _:
            return None


def check_conformity(guardrail: Guardrail, schema: Schema, completion: Completion) -> None:
    """Raises `GuardrailViolation` where a choice says what does not conform, `GuardrailUnavailable` for too much.

    A choice that calls tools instead, or refuses, has nothing to conform.
    """
    conformity = import_module("tidegate.policy.guardrails.conformity")
    for choice in completion["choices"]:
        message = choice["message"]
        content = message["content"]
        if content is None and (message.get("tool_calls") or message.get("function_call") or message["refusal"]):
            continue
        try:
            conforms = conformity.conforms(schema, decode(content or ""))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            conforms = False
        except conformity.GIVEN_UP:
            raise GuardrailUnavailable(f"The guardrail {guardrail.name!r} has a schema that takes too long.") from None
        if not conforms:
            raise violation(guardrail, "output")


def _masked(guardrail: Guardrail, stage: Stage, texts: Sequence[Text], found: Sequence[Sequence[Finding]]) -> list[str]:
    first = next((text for text, findings in zip(texts, found, strict=True) if findings), None)
    if first is not None and guardrail.action == "block":
        raise violation(guardrail, stage, first.path if stage == "input" else None)
    return [masked(text.text, findings) for text, findings in zip(texts, found, strict=True)]


async def _check_length(guardrail: Guardrail, request: ChatRequest, texts: Sequence[str]) -> None:
    def is_long() -> bool:
        most = guardrail.max_tokens
        if guardrail.max_characters is not None and sum(map(len, texts)) > guardrail.max_characters:
            return True
        return most is not None and any(estimate_prompt(fields) > most for fields in _prompts(request))

    is_large = request.size > detectors.LONG_CHARACTERS
    if await to_thread.run_sync(is_long) if is_large else is_long():
        raise violation(guardrail, "input", "messages")


def _prompts(request: ChatRequest) -> Iterator[ChatFields]:
    """The request's fields, and as they are for fallbacks that change them."""
    yield request.fields
    for entry in request.fields.fallbacks or ():
        if isinstance(entry, dict) and "model" in entry and len(entry) > 1:
            try:
                changed = build({**request.body, **cast("JsonObject", entry)}, request.size)
            except InvalidRequest:  # which is told with its path, before anybody is asked
                continue
            yield changed.fields


def _is_suspicious(text: Text) -> bool:
    return text.role not in _MAY_INSTRUCT and injection.is_suspicious(text.text)


async def _check_each(guardrail: Guardrail, stage: Stage, texts: Sequence[Text], fails: Callable[[Text], bool]) -> None:
    def first() -> Text | None:
        return next(filter(fails, texts), None)

    is_long = detectors.are_long([each.text for each in texts])
    found = await to_thread.run_sync(first) if is_long else first()
    if found is not None:
        raise violation(guardrail, stage, found.path if stage == "input" else None)


async def _asked(rail: Rail, bench: Bench, stage: Stage, texts: list[str]) -> list[str]:
    guardrail, call = rail.guardrail, bench.call
    if bench.judge is None:
        raise GuardrailUnavailable(f"The guardrail {guardrail.name!r} has nobody to ask here.")
    question = Question(
        call_id=call.id,
        workspace_id=call.workspace.id,
        model=call.request.model,
        stage=stage,
        texts=tuple(texts),
        seconds=max(0.0, min(guardrail.timeout_seconds, bench.left())),
        is_trusted=rail.is_trusted,
    )
    judgement = await bench.judge.judge(guardrail, question)
    changed = judgement.texts is not None and judgement.texts != question.texts
    if not judgement.passes or (changed and guardrail.action == "block"):
        raise violation(guardrail, stage)
    return texts if judgement.texts is None else list(judgement.texts)
