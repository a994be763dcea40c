"""Applies one guardrail to the texts of a prompt or an answer: they pass, are masked, or violate it."""

from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias, cast

import msgspec
from msgspec import Struct

from tidegate.domain.call import Call
from tidegate.domain.guardrails import Finding, Guardrail, GuardrailBackend, GuardrailQuery, Stage
from tidegate.domain.operation import Request, Text
from tidegate.errors import GuardrailUnavailable, GuardrailViolation, InvalidRequest
from tidegate.json import Json, JsonObject, decode
from tidegate.lazy import load
from tidegate.offload import offload
from tidegate.policy.guardrails import detectors, injection
from tidegate.policy.guardrails.masking import mask_text

Schema: TypeAlias = dict[str, Json] | bool

_INSTRUCTION_ROLES = ("system", "developer")
"""Roles that may override instructions: the injection check skips them."""


class ActiveGuardrail(Struct, frozen=True):
    """A guardrail on one call. `is_trusted`: the operator wrote it. `path` is the field that named it."""

    guardrail: Guardrail
    is_trusted: bool = False
    path: str | None = None


class GuardContext(Struct, frozen=True):
    """The checked call, the backend of remote guardrails, and the seconds until the call's deadline."""

    call: Call
    backend: GuardrailBackend | None
    seconds_left: Callable[[], float]


def violation_error(guardrail: Guardrail, stage: Stage, path: str | None = None) -> GuardrailViolation:
    """Build the error that names the guardrail and the field, never the text."""
    what = "request" if stage == "input" else "answer"
    return GuardrailViolation(f"The {what} violates the guardrail {guardrail.name!r}.", param=path)


async def apply_guardrail(
    active: ActiveGuardrail, context: GuardContext, stage: Stage, texts: Sequence[Text]
) -> list[str]:
    """Return the texts, masked where needed. Raises `GuardrailViolation` and `GuardrailUnavailable`."""
    guardrail, plain_texts = active.guardrail, [each.text for each in texts]
    match guardrail.kind:
        case "max_input":
            await _check_length(guardrail, context.call.request, plain_texts)
        case "injection":
            await _check_each(guardrail, stage, texts, _is_suspicious)
        case "scripts":
            is_written_in = load("tidegate.policy.guardrails.scripts", "is_written_in")
            await _check_each(guardrail, stage, texts, lambda each: not is_written_in(guardrail.scripts, each.text))
        case "bedrock" | "webhook":
            return await _ask_backend(active, context, stage, plain_texts) if plain_texts else plain_texts
        case "json_schema":
            pass  # checks an answer as a whole: see `check_conformity`
        case _:
            return _mask_or_block(guardrail, stage, texts, await detectors.find_in_texts(guardrail, plain_texts))
    return plain_texts


def answer_schema(active: ActiveGuardrail, call: Call) -> Schema | None:
    """Return the schema that answers must conform to: the guardrail's, or else the one of `response_format`, or None.

    Raises `InvalidRequest` if the caller's schema cannot be checked, or is missing though the caller named this.
    """
    guardrail, wanted = active.guardrail, call.request.answer_schema()
    module = "tidegate.policy.guardrails.schema"
    if guardrail.schema is not None:
        try:
            return load(module, "parse_schema")(guardrail.schema)
        except ValueError:
            raise GuardrailUnavailable(f"The guardrail {guardrail.name!r} has an invalid schema.") from None
    if wanted is not None:
        try:
            return load(module, "check_schema")(wanted.schema)
        except ValueError as error:
            message = f"The guardrail {guardrail.name!r} cannot check against this schema: {error}"
            raise InvalidRequest(message, param=wanted.path) from None
    if active.path is not None:
        message = f"The guardrail {guardrail.name!r} needs a response_format with a JSON schema."
        raise InvalidRequest(message, param=active.path)
    return None


def check_conformity(guardrail: Guardrail, schema: Schema, answers: Sequence[str]) -> None:
    """Raise `GuardrailViolation` if a choice does not conform, `GuardrailUnavailable` if the check takes too long.

    Choices without content, because they call tools or refuse, are not checked.
    """
    module = "tidegate.policy.guardrails.conformity"
    conforms_to = load(module, "conforms")
    for answer in answers:
        try:
            conforms = conforms_to(schema, decode(answer))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            conforms = False
        except load(module, "LIMIT_EXCEPTIONS"):
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
        variants = _request_variants(request)
        return max_tokens is not None and any(variant.estimate_prompt() > max_tokens for variant in variants)

    if await offload(request.size, is_long, detectors.LONG_CHARACTERS):
        raise violation_error(guardrail, "input", "messages")


def _request_variants(request: Request) -> Iterator[Request]:
    """Yield the request, and the request of each fallback that overrides some of its fields."""
    yield request
    for entry in request.options.fallbacks or ():
        if isinstance(entry, dict) and "model" in entry and len(entry) > 1:
            try:
                changed = request.with_body({**request.body, **cast("JsonObject", entry)})
            except InvalidRequest:  # `fallback.candidates` raises it, with its path, before any request is sent
                continue
            yield changed


def _is_suspicious(text: Text) -> bool:
    return text.role not in _INSTRUCTION_ROLES and injection.is_suspicious(text.text)


async def _check_each(guardrail: Guardrail, stage: Stage, texts: Sequence[Text], fails: Callable[[Text], bool]) -> None:
    def first() -> Text | None:
        return next(filter(fails, texts), None)

    found = await offload(detectors.search_size([each.text for each in texts]), first, detectors.LONG_CHARACTERS)
    if found is not None:
        raise violation_error(guardrail, stage, found.path if stage == "input" else None)


async def _ask_backend(active: ActiveGuardrail, context: GuardContext, stage: Stage, texts: list[str]) -> list[str]:
    guardrail, call = active.guardrail, context.call
    if context.backend is None:
        raise GuardrailUnavailable(f"The guardrail {guardrail.name!r} needs a service that this gateway does not have.")
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
