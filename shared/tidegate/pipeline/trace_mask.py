"""Masks a trace with guardrails before it is stored: those of `trace_mask`, and those that mask the call itself.

A guardrail that finds positions masks every text of the request, of the requests to providers, and of the answer. One
that asks a service has masked the call's own request and answer: these are kept in place of what was received, unless
the service has not answered. Replies of providers are not kept: their texts are in pieces.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import partial

import msgspec
from msgspec.structs import replace

from tidegate.domain.call import Call
from tidegate.domain.guardrails import DETECTOR_KINDS, Guardrail
from tidegate.domain.trace import Trace, TracedError
from tidegate.errors import InvalidRequest
from tidegate.json import Json, decode, decode_reply, encode
from tidegate.offload import offload
from tidegate.pipeline.observation import Observation
from tidegate.policy.guardrails.detectors import find_in_texts
from tidegate.policy.guardrails.masking import mask_text
from tidegate.policy.guardrails.selection import GuardrailSelection, select_guardrails

MIN_NUMBER = 1_000_000
"""The smallest JSON number that is searched like a text: telephone numbers have at least seven digits."""


async def mask_trace(trace: Trace, observation: Observation, selection: GuardrailSelection) -> Trace:
    """Return the trace, masked; the trace itself if no guardrail masks it. Raises `GuardrailUnavailable`.

    Raises `InvalidRequest` if `trace_mask` names a guardrail that does not exist.
    """
    guardrails = _masking_guardrails(observation.call, selection)
    if not guardrails:
        return trace
    detectors = [each for each in guardrails if each.kind in DETECTOR_KINDS]
    remote = [each for each in guardrails if each.kind not in DETECTOR_KINDS]
    if remote:
        trace = _masked_by_services(trace, observation, remote)
    trace = replace(
        trace,
        attempts=[replace(attempt, reply=b"", folded=None) for attempt in trace.attempts],
        masked=tuple(each.name for each in guardrails),
    )
    return await _masked_by_detectors(trace, detectors) if detectors else trace


def _masking_guardrails(call: Call, selection: GuardrailSelection) -> list[Guardrail]:
    workspace, named = call.workspace, call.request.options.guardrails or ()
    select = partial(select_guardrails, selection.operator_guardrails, workspace.guardrails)
    try:
        running = select(named)
    except InvalidRequest:  # the caller names a guardrail that does not exist: its call has failed
        running = select(())
    masking = {name: guardrail for name, (guardrail, *_) in running.items() if guardrail.action == "mask"}
    for name in workspace.trace_mask:
        masking[name] = select((name,))[name][0]
    return list(masking.values())


def _masked_by_services(trace: Trace, observation: Observation, guardrails: Sequence[Guardrail]) -> Trace:
    """Return the trace with what the services have masked, and without what they have not seen."""
    verdicts = {observation.verdicts.get(guardrail.name) for guardrail in guardrails}
    if verdicts <= {"pass", "mask"}:
        return replace(trace, request=encode(observation.call.request.body))
    bare = [replace(attempt, body=b"") for attempt in trace.attempts]
    return replace(trace, request=b"", attempts=bare, answer=b"")


async def _masked_by_detectors(trace: Trace, guardrails: Sequence[Guardrail]) -> Trace:
    contents = [trace.request, trace.answer, *(attempt.body for attempt in trace.attempts)]
    size = sum(map(len, contents))
    message = trace.error.message if trace.error else ""
    documents = await offload(size, partial(_decode_all, contents))
    texts = await offload(size, lambda: list(dict.fromkeys([message, *_texts(documents)])))
    masked = texts
    for guardrail in guardrails:
        findings = await find_in_texts(guardrail, masked)
        masked = [mask_text(*each) if each[1] else each[0] for each in zip(masked, findings, strict=True)]
    masks = {text: mask for text, mask in zip(texts, masked, strict=True) if text != mask}
    request, answer, *bodies = await offload(size, partial(_encode_all, documents, masks))
    attempts = [replace(attempt, body=body) for attempt, body in zip(trace.attempts, bodies, strict=True)]
    error = trace.error and TracedError(trace.error.code, masks.get(message, message))
    return replace(trace, request=request, answer=answer, attempts=attempts, error=error)


def _decode_all(contents: Sequence[bytes]) -> list[Json]:
    return [_decode(content) for content in contents]


def _encode_all(documents: Sequence[Json], masks: Mapping[str, str]) -> list[bytes]:
    # Without masks, too: what was received can have a field twice, of which one was not searched.
    masked = (_with_masks(document, masks) if masks else document for document in documents)
    return [b"" if document is None else encode(document) for document in masked]


def _decode(content: bytes) -> Json:
    """Return the JSON; None if the content is not valid JSON: its texts cannot be found."""
    try:
        return decode_reply(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _texts(documents: Sequence[Json]) -> Iterable[str]:
    """Return all texts of the documents once: names of fields and long numbers as well, and those in JSON in a text."""
    texts: dict[str, None] = {}
    rest: list[Json] = list(documents)
    while rest:  # generators in each other would take four times as long
        value = rest.pop()
        if isinstance(value, str):
            texts[value] = None
            inner = _inner_json(value)
            if inner is not None:
                rest.append(inner)
        elif isinstance(value, dict):
            texts.update(dict.fromkeys(value))
            rest += value.values()
        elif isinstance(value, list):
            rest += value
        elif _is_long(value):
            texts[str(value)] = None
    return texts


def _is_long(value: Json) -> bool:
    """True for an integer that can be a telephone or card number."""
    return isinstance(value, int) and value >= MIN_NUMBER


def _with_masks(value: Json, masks: Mapping[str, str]) -> Json:
    """Return the value with each text and each number in `masks` replaced."""
    match value:
        case int() if _is_long(value):
            return masks.get(str(value), value)
        case str():
            inner = _inner_json(value)
            masked = None if inner is None else _with_masks(inner, masks)
            # The text as it is can have more than its JSON: a field that is there twice.
            return masks.get(value, value) if masked == inner else encode(masked).decode()
        case list():
            return [_with_masks(each, masks) for each in value]
        case dict():
            return {masks.get(name, name): _with_masks(each, masks) for name, each in value.items()}
        case _:
            return value


def _inner_json(text: str) -> Json:
    """Return the object or array in a text such as the arguments of a tool call, if escapes hide its texts."""
    if text.lstrip()[:1] not in ("{", "[") or "\\" not in text:
        return None
    try:
        return decode(text)
    except (msgspec.DecodeError, RecursionError):
        return None
