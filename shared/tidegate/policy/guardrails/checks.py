"""One guardrail over the texts of a prompt or an answer: they pass, others take their places, or it is violated."""

from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias, cast

import msgspec
from anyio import to_thread
from msgspec import Struct

from tidegate.domain.call import Call
from tidegate.domain.guardrails import Finding, Guardrail, GuardrailBackend, GuardrailQuery, Stage
from tidegate.domain.operation import Request, Text
from tidegate.errors import GuardrailUnavailable, GuardrailViolation, InvalidRequest
from tidegate.json import Json, JsonObject, decode
from tidegate.lazy import load
from tidegate.policy.guardrails import detectors, injection
from tidegate.policy.guardrails.masking import mask_text

Schema: TypeAlias = dict[str, Json] | bool

_INSTRUCTION_ROLES = ("system", "developer")
"""Whose messages are the instructions: they may say that others are void."""


class ActiveGuardrail(Struct, frozen=True):
    """A guardrail on one call. `is_trusted`: the operator's own. `path` is where the caller named it."""

    guardrail: Guardrail
    is_trusted: bool = False
    path: str | None = None


class GuardContext(Struct, frozen=True):
    """What is known of the call that is judged, and who is asked; `left` are the seconds that it has."""

    call: Call
    backend: GuardrailBackend | None
    seconds_left: Callable[[], float]


def violation_error(guardrail: Guardrail, stage: Stage, path: str | None = None) -> GuardrailViolation:
    """It names the guardrail and the field, never the text."""
    what = "request" if stage == "input" else "answer"
    return GuardrailViolation(f"The {what} violates the guardrail {guardrail.name!r}.", param=path)


async def apply_guardrail(
    active: ActiveGuardrail, context: GuardContext, stage: Stage, texts: Sequence[Text]
) -> list[str]:
    """The texts as they may pass. Raises `GuardrailViolation` and `GuardrailUnavailable`."""
    guardrail, plain_texts = active.guardrail, [each.text for each in texts]
    match guardrail.kind:
        case "max_input":
            await _check_length(guardrail, context.call.request, plain_texts)
        case "injection":
            await _check_each(guardrail, stage, texts, _is_suspicious)
        case "scripts":
            are_only = load("tidegate.policy.guardrails.scripts", "are_only")
            await _check_each(guardrail, stage, texts, lambda each: not are_only(guardrail.scripts, each.text))
        case "bedrock" | "webhook":
            return await _ask_backend(active, context, stage, plain_texts) if plain_texts else plain_texts
        case "json_schema":
            pass  # of an answer as a whole: `check_conformity`
        case _:
            return _mask_or_block(guardrail, stage, texts, await detectors.find_in_texts(guardrail, plain_texts))
    return plain_texts


def answer_schema(active: ActiveGuardrail, call: Call) -> Schema | None:
    """What answers to the call have to conform to; None where that is nothing.

    Raises `InvalidRequest` where the caller's own cannot be checked, or there is none though the caller named this.
    """
    guardrail, wanted = active.guardrail, call.request.answer_schema()
    if guardrail.schema is not None:
        try:
            return load("tidegate.policy.guardrails.schema", "parsed")(guardrail.schema)
        except ValueError:
            raise GuardrailUnavailable(f"The guardrail {guardrail.name!r} has a schema that is none.") from None
    if wanted is not None:
        try:
            return load("tidegate.policy.guardrails.schema", "check")(wanted.schema)
        except ValueError as error:
            message = f"The guardrail {guardrail.name!r} cannot check against this schema: {error}"
            raise InvalidRequest(message, param=wanted.path) from None
    if active.path is not None:
        raise InvalidRequest(
            f"The guardrail {guardrail.name!r} needs a response_format with a JSON schema.", param=active.path
        )
    return None


def check_conformity(guardrail: Guardrail, schema: Schema, answers: Sequence[str]) -> None:
    """Raises `GuardrailViolation` where a choice says what does not conform, `GuardrailUnavailable` for too much.

    A choice that calls tools instead, or refuses, has nothing to conform.
    """
    module = "tidegate.policy.guardrails.conformity"
    conforms_to = load(module, "conforms")
    for answer in answers:
        try:
            conforms = conforms_to(schema, decode(answer))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            conforms = False
        except load(module, "GIVEN_UP"):
            raise GuardrailUnavailable(f"The guardrail {guardrail.name!r} has a schema that takes too long.") from None
        if not conforms:
            raise violation_error(guardrail, "output")


def _mask_or_block(
    guardrail: Guardrail, stage: Stage, texts: Sequence[Text], findings_by_text: Sequence[Sequence[Finding]]
) -> list[str]:
    first = next((text for text, findings in zip(texts, findings_by_text, strict=True) if findings), None)
    if first is not None and guardrail.action == "block":
        raise violation_error(guardrail, stage, first.path if stage == "input" else None)
    return [mask_text(text.text, findings) for text, findings in zip(texts, findings_by_text, strict=True)]


async def _check_length(guardrail: Guardrail, request: Request, texts: Sequence[str]) -> None:
    def is_long() -> bool:
        max_tokens = guardrail.max_tokens
        if guardrail.max_characters is not None and sum(map(len, texts)) > guardrail.max_characters:
            return True
        return max_tokens is not None and any(
            variant.estimate_prompt() > max_tokens for variant in _request_variants(request)
        )

    is_large = request.size > detectors.LONG_CHARACTERS
    if await to_thread.run_sync(is_long) if is_large else is_long():
        raise violation_error(guardrail, "input", "messages")


def _request_variants(request: Request) -> Iterator[Request]:
    """The request's fields, and as they are for fallbacks that change them."""
    yield request
    for entry in request.options.fallbacks or ():
        if isinstance(entry, dict) and "model" in entry and len(entry) > 1:
            try:
                changed = request.with_body({**request.body, **cast("JsonObject", entry)})
            except InvalidRequest:  # which is told with its path, before anybody is asked
                continue
            yield changed


def _is_suspicious(text: Text) -> bool:
    return text.role not in _INSTRUCTION_ROLES and injection.is_suspicious(text.text)


async def _check_each(guardrail: Guardrail, stage: Stage, texts: Sequence[Text], fails: Callable[[Text], bool]) -> None:
    def first() -> Text | None:
        return next(filter(fails, texts), None)

    is_long = detectors.are_long([each.text for each in texts])
    found = await to_thread.run_sync(first) if is_long else first()
    if found is not None:
        raise violation_error(guardrail, stage, found.path if stage == "input" else None)


async def _ask_backend(active: ActiveGuardrail, context: GuardContext, stage: Stage, texts: list[str]) -> list[str]:
    guardrail, call = active.guardrail, context.call
    if context.backend is None:
        raise GuardrailUnavailable(f"The guardrail {guardrail.name!r} has nobody to ask here.")
    query = GuardrailQuery(
        call_id=call.id,
        workspace_id=call.workspace.id,
        model=call.request.model,
        stage=stage,
        texts=tuple(texts),
        timeout_seconds=max(0.0, min(guardrail.timeout_seconds, context.seconds_left())),
        is_trusted=active.is_trusted,
    )
    verdict = await context.backend.judge(guardrail, query)
    changed = verdict.texts is not None and verdict.texts != query.texts
    if not verdict.passes or (changed and guardrail.action == "block"):
        raise violation_error(guardrail, stage)
    return texts if verdict.texts is None else list(verdict.texts)
