"""Applies one guardrail to the texts of a prompt or an answer: they pass, are masked, or violate it."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TypeAlias, cast

import msgspec
from msgspec import Struct

from tidegate.chat.estimate import estimate_text
from tidegate.domain.call import Call
from tidegate.domain.guardrails import Finding, Guardrail, GuardrailBackend, GuardrailQuery, Stage
from tidegate.domain.operation import Request, Text
from tidegate.errors import GuardrailUnavailable, GuardrailViolation, InvalidRequest
from tidegate.json import Json, JsonObject, decode, encode
from tidegate.lazy import load
from tidegate.offload import offload
from tidegate.policy.guardrails import detectors, injection
from tidegate.policy.guardrails.masking import mask_text

Schema: TypeAlias = dict[str, Json] | bool


class ActiveGuardrail(Struct, frozen=True):
    """A guardrail on one call. `is_trusted`: the operator wrote it. `path` is the field that named it."""

    guardrail: Guardrail
    is_trusted: bool = False
    path: str | None = None


class GuardContext(Struct, frozen=True):
    """The checked call, the clock of its deadline, and `open_backend` for guardrails that ask a service."""

    call: Call
    open_backend: Callable[[], GuardrailBackend] | None
    clock: Callable[[], float]


def violation_error(guardrail: Guardrail, stage: Stage, path: str | None = None) -> GuardrailViolation:
    """Build the error that names the guardrail and the field, never the text."""
    what = "request" if stage == "input" else "answer"
    return GuardrailViolation(f"The {what} violates the guardrail {guardrail.name!r}.", param=path)


async def apply_guardrail(
    active: ActiveGuardrail, context: GuardContext, stage: Stage, texts: Sequence[Text]
) -> list[str] | None:
    """Return the texts, masked where needed; None if none of them changes.

    Raises `GuardrailViolation` and `GuardrailUnavailable`.
    """
    guardrail, readable = active.guardrail, [each for each in texts if each.kind != "encoded"]
    match guardrail.kind:
        case "max_input":
            await _check_length(guardrail, context.call.request, texts)
        case "injection":
            await _check_each(guardrail, stage, readable, injection.find_suspicious)
        case "scripts":
            find_foreign = load("tidegate.policy.guardrails.scripts", "find_foreign")
            plain = [each for each in texts if each.kind == "plain"]
            await _check_each(guardrail, stage, plain, partial(find_foreign, guardrail.scripts))
        case "bedrock" | "webhook":
            return _in_place(texts, await _ask_backend(active, context, stage, readable)) if readable else None
        case "json_schema":
            pass  # checks an answer as a whole: see `check_conformity`
        case _:
            findings = await detectors.find_in_texts(guardrail, [each.text for each in readable])
            if any(findings):
                return _in_place(texts, _mask_or_block(guardrail, stage, readable, findings))
    return None


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
    check = load(module, "ConformityCheck")(schema)
    for answer in answers:
        try:
            conforms = check.conforms(schema, decode(answer))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            conforms = False
        except load(module, "LIMIT_EXCEPTIONS"):
            raise GuardrailUnavailable(f"The guardrail {guardrail.name!r} has a schema that takes too long.") from None
        if not conforms:
            raise violation_error(guardrail, "output")


def _in_place(texts: Sequence[Text], readable: Sequence[str]) -> list[str]:
    """Return all texts: `readable` are those that are not encoded, in their order."""
    remaining = iter(readable)
    return [each.text if each.kind == "encoded" else next(remaining) for each in texts]


def _mask_or_block(
    guardrail: Guardrail, stage: Stage, texts: Sequence[Text], findings_by_text: Sequence[Sequence[Finding]]
) -> list[str]:
    """Return the texts, masked. A fixed text cannot be masked: `fails` decides whether that is a violation."""
    masked: list[str] = []
    for text, findings in zip(texts, findings_by_text, strict=True):
        is_masked = guardrail.action == "mask" and text.kind == "plain"
        if findings and not is_masked and (guardrail.action == "block" or guardrail.fails == "closed"):
            raise violation_error(guardrail, stage, text.path if stage == "input" else None)
        masked.append(mask_text(text.text, findings) if findings and is_masked else text.text)
    return masked


async def _check_length(guardrail: Guardrail, request: Request, texts: Sequence[Text]) -> None:
    def is_long() -> bool:
        max_characters, max_tokens = guardrail.max_characters, guardrail.max_tokens
        if max_characters is not None and sum(len(each.text) for each in texts) > max_characters:
            return True
        return max_tokens is not None and _prompt_tokens(request, texts) > max_tokens

    if await offload(request.size, is_long, detectors.LONG_CHARACTERS):
        raise violation_error(guardrail, "input", "messages")


def _prompt_tokens(request: Request, texts: Sequence[Text]) -> int:
    """Estimate the tokens of the longest prompt, never fewer than those of all strings that are sent."""
    of_texts = sum(estimate_text(each.text) for each in texts if each.kind != "encoded")
    return max(of_texts, *map(_estimate_variant, _request_variants(request)))


def _estimate_variant(request: Request) -> int:
    return max(request.estimate_prompt(), request.prompt_tokens(encode(request.body)).input)


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


async def _check_each(
    guardrail: Guardrail, stage: Stage, texts: Sequence[Text], find_first: Callable[[Sequence[Text]], Text | None]
) -> None:
    size = detectors.search_size([each.text for each in texts])
    found = await offload(size, partial(find_first, texts), detectors.LONG_CHARACTERS)
    if found is not None:
        raise violation_error(guardrail, stage, found.path if stage == "input" else None)


async def _ask_backend(
    active: ActiveGuardrail, context: GuardContext, stage: Stage, texts: Sequence[Text]
) -> list[str]:
    """Return the texts as the service wants them. It gets all fixed ones as one text, the last."""
    guardrail, call = active.guardrail, context.call
    if context.open_backend is None:
        raise GuardrailUnavailable(f"The guardrail {guardrail.name!r} needs a service that this gateway does not have.")
    plain = [each.text for each in texts if each.kind == "plain"]
    fixed = "\n".join(each.text for each in texts if each.kind == "fixed")
    query = GuardrailQuery(
        call_id=call.id,
        workspace_id=call.workspace.id,
        model=call.request.model,
        stage=stage,
        texts=(*plain, fixed) if fixed else tuple(plain),
        timeout_seconds=max(0.0, min(guardrail.timeout_seconds, call.deadline - context.clock())),
        is_trusted=active.is_trusted,
    )
    verdict = await context.open_backend().judge(guardrail, query)
    answered = query.texts if verdict.texts is None else verdict.texts
    is_unmaskable = fixed and answered[-1] != fixed and guardrail.fails == "closed"
    if not verdict.passes or is_unmaskable or (answered != query.texts and guardrail.action == "block"):
        raise violation_error(guardrail, stage)
    masked = iter(answered)
    return [next(masked) if each.kind == "plain" else each.text for each in texts]
