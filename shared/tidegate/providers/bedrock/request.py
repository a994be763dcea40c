"""A request to Converse, out of the caller's.

Source: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html and
…/API_runtime_ConverseStream.html (2026).
"""

import re

from tidegate.domain.call import Call
from tidegate.json import Json, JsonObject
from tidegate.providers.bedrock import capabilities, messages, thinking, tools
from tidegate.providers.bedrock.request_builder import NAMES, Draft
from tidegate.providers.openai import legacy_functions
from tidegate.providers.request_builder import is_email, sent
from tidegate.providers.toolnames import ToolNames

_PASSED = (
    *("guardrailConfig", "performanceConfig", "promptVariables", "additionalModelResponseFieldPaths"),
    *("requestMetadata", "serviceTier"),
)
"""Converse's own fields, which a caller may send beside OpenAI's."""

_SILENT = frozenset({"model", "stream", "stream_options"})
_TIERS = frozenset({"default", "flex", "priority", "reserved"})
_METADATA = re.compile(r"[a-zA-Z0-9\s:_@$#=/+,.-]{1,256}", re.ASCII)
_MAX_METADATA = 16


def build(call: Call, model: str) -> Draft:
    """The request as far as it can be said. Raises `InvalidRequest` for what cannot."""
    left = sent(call)
    if legacy_functions.uses_functions(left):
        legacy_functions.translate(left)
    draft = Draft(call, left, model=model, family=capabilities.of(model), names=ToolNames(NAMES, left))
    messages.write(draft)
    thinking.write(draft)
    tools.write(draft)
    _write_inference(draft)
    _write_metadata(draft)
    _write_extra(draft)
    for name, value in draft.left.items():
        if name not in _SILENT:
            draft.leave_out(name, value)
    return draft


def _write_inference(draft: Draft) -> None:
    inference: JsonObject = {}
    limit = draft.call.request.output_limit
    draft.take("max_tokens")
    draft.take("max_completion_tokens")
    if limit is not None:
        inference["maxTokens"] = limit
    temperature, top_p = draft.take("temperature"), draft.take("top_p")
    fixed = _samples_alone(draft)
    if fixed or not isinstance(temperature, int | float) or temperature > 1:  # OpenAI's goes to 2, Converse's to 1
        draft.leave_out("temperature", temperature)
    else:
        inference["temperature"] = temperature
    if fixed or (draft.family.samplers == "one" and "temperature" in inference):
        draft.leave_out("top_p", top_p)
    elif top_p is not None:
        inference["topP"] = top_p
    stops = _stops(draft)
    if stops:
        inference["stopSequences"] = stops
    if inference:
        draft.body["inferenceConfig"] = inference


def _samples_alone(draft: Draft) -> bool:
    """Whether the model takes neither temperature nor top_p: the newest Claudes, those that think, Nova at its most."""
    match draft.extra.get("reasoningConfig"):
        case {"maxReasoningEffort": "high"}:
            return True
        case _:
            return draft.family.samplers == "none" or draft.thinks


def _stops(draft: Draft) -> list[Json]:
    stop = draft.take("stop")
    given: list[Json] = [stop] if isinstance(stop, str) else stop if isinstance(stop, list) else []
    kept = [one for one in given if isinstance(one, str) and (one.strip() if draft.family.claude else one)]
    if len(kept) != len(given):  # Converse refuses empty ones, and Claude blank ones
        draft.report("stop")
    return [*kept]


def _write_metadata(draft: Draft) -> None:
    """What the caller wants to find again in the log of invocations. Converse takes 16 short texts."""
    found: JsonObject = {}
    metadata = draft.take("metadata")
    pairs = list(metadata.items()) if isinstance(metadata, dict) else []
    user = draft.take("user")
    if is_email(user):
        draft.report("user")
        user = None
    for name, value in [*pairs, *([("user", user)] if user is not None else [])]:
        fits = isinstance(value, str) and _METADATA.fullmatch(value) and _METADATA.fullmatch(name)
        if fits and len(found) < _MAX_METADATA:
            found[name] = value
        else:
            draft.ignored.append("user" if (name, value) == ("user", user) else f"metadata.{name}")
    for name in _PASSED:
        value = draft.take(name)
        if value is not None:
            draft.body[name] = value
    if found:
        given = draft.body.get("requestMetadata")
        draft.body["requestMetadata"] = {**found, **(given if isinstance(given, dict) else {})}
    tier = draft.take("service_tier")
    if tier in _TIERS:
        draft.body.setdefault("serviceTier", {"type": tier})
    elif tier != "auto":
        draft.leave_out("service_tier", tier)


def _write_extra(draft: Draft) -> None:
    """What only some models know, and what the caller knows of the model."""
    top_k = draft.take("top_k")
    if not draft.family.top_k or _samples_alone(draft):
        draft.leave_out("top_k", top_k)
    elif top_k is not None:
        *outer, name = draft.family.top_k
        inner: JsonObject = {name: top_k}
        for step in reversed(outer):
            inner = {step: inner}
        draft.extra.update(inner)
    betas = draft.take("anthropic_beta")
    if draft.family.claude and isinstance(betas, str | list):
        draft.extra["anthropic_beta"] = [betas] if isinstance(betas, str) else betas
    else:
        draft.leave_out("anthropic_beta", betas)
    given = draft.take("additionalModelRequestFields")
    extra = {**draft.extra, **(given if isinstance(given, dict) else {})}
    if extra:
        draft.body["additionalModelRequestFields"] = extra
