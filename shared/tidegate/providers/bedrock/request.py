"""A request to Converse, out of the caller's.

Source: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html and
…/API_runtime_ConverseStream.html (2026).
"""

import re

from tidegate.chat.request import ChatCall
from tidegate.json import Json, JsonObject
from tidegate.providers.bedrock import capabilities, messages, thinking, tools
from tidegate.providers.bedrock.request_builder import TOOL_NAME_RULES, BedrockRequestBuilder
from tidegate.providers.openai import legacy_functions
from tidegate.providers.request_builder import is_email, provider_fields
from tidegate.providers.toolnames import ToolNames

_NATIVE_FIELDS = (
    *("guardrailConfig", "performanceConfig", "promptVariables", "additionalModelResponseFieldPaths"),
    *("requestMetadata", "serviceTier"),
)
"""Converse's own fields, which a caller may send beside OpenAI's."""

_HANDLED_ELSEWHERE = frozenset({"model", "stream", "stream_options"})
_SERVICE_TIERS = frozenset({"default", "flex", "priority", "reserved"})
_METADATA_TEXT = re.compile(r"[a-zA-Z0-9\s:_@$#=/+,.-]{1,256}", re.ASCII)
_MAX_METADATA_ENTRIES = 16


def build(call: ChatCall, model: str) -> BedrockRequestBuilder:
    """The request as far as it can be said. Raises `InvalidRequest` for what cannot."""
    remaining = provider_fields(call)
    if legacy_functions.uses_functions(remaining):
        legacy_functions.translate_to_tools(remaining)
    draft = BedrockRequestBuilder(
        call,
        remaining,
        model=model,
        capabilities=capabilities.capabilities_of(model),
        tool_names=ToolNames(TOOL_NAME_RULES, remaining),
    )
    messages.write(draft)
    thinking.write(draft)
    tools.write(draft)
    _write_inference_config(draft)
    _write_metadata(draft)
    _write_model_fields(draft)
    for name, value in draft.remaining.items():
        if name not in _HANDLED_ELSEWHERE:
            draft.leave_out(name, value)
    return draft


def _write_inference_config(draft: BedrockRequestBuilder) -> None:
    inference: JsonObject = {}
    limit = draft.call.request.output_limit
    draft.take("max_tokens")
    draft.take("max_completion_tokens")
    if limit is not None:
        inference["maxTokens"] = limit
    temperature, top_p = draft.take("temperature"), draft.take("top_p")
    refuses_samplers = _refuses_samplers(draft)
    if (
        refuses_samplers or not isinstance(temperature, int | float) or temperature > 1
    ):  # OpenAI's goes to 2, Converse's to 1
        draft.leave_out("temperature", temperature)
    else:
        inference["temperature"] = temperature
    if refuses_samplers or (draft.capabilities.samplers == "one" and "temperature" in inference):
        draft.leave_out("top_p", top_p)
    elif top_p is not None:
        inference["topP"] = top_p
    stops = _take_stop_sequences(draft)
    if stops:
        inference["stopSequences"] = stops
    if inference:
        draft.body["inferenceConfig"] = inference


def _refuses_samplers(draft: BedrockRequestBuilder) -> bool:
    """Whether the model takes neither temperature nor top_p: the newest Claudes, those that think, Nova at its most."""
    match draft.model_fields.get("reasoningConfig"):
        case {"maxReasoningEffort": "high"}:
            return True
        case _:
            return draft.capabilities.samplers == "none" or draft.thinking_enabled


def _take_stop_sequences(draft: BedrockRequestBuilder) -> list[Json]:
    stop = draft.take("stop")
    requested: list[Json] = [stop] if isinstance(stop, str) else stop if isinstance(stop, list) else []
    supported = [
        sequence
        for sequence in requested
        if isinstance(sequence, str) and (sequence.strip() if draft.capabilities.is_claude else sequence)
    ]
    if len(supported) != len(requested):  # Converse refuses empty ones, and Claude blank ones
        draft.report_ignored("stop")
    return [*supported]


def _write_metadata(draft: BedrockRequestBuilder) -> None:
    """What the caller wants to find again in the log of invocations. Converse takes 16 short texts."""
    request_metadata: JsonObject = {}
    metadata = draft.take("metadata")
    pairs = list(metadata.items()) if isinstance(metadata, dict) else []
    user = draft.take("user")
    if is_email(user):
        draft.report_ignored("user")
        user = None
    for name, value in [*pairs, *([("user", user)] if user is not None else [])]:
        fits = isinstance(value, str) and _METADATA_TEXT.fullmatch(value) and _METADATA_TEXT.fullmatch(name)
        if fits and len(request_metadata) < _MAX_METADATA_ENTRIES:
            request_metadata[name] = value
        else:
            draft.ignored.append("user" if (name, value) == ("user", user) else f"metadata.{name}")
    for name in _NATIVE_FIELDS:
        value = draft.take(name)
        if value is not None:
            draft.body[name] = value
    if request_metadata:
        native_metadata = draft.body.get("requestMetadata")
        draft.body["requestMetadata"] = {
            **request_metadata,
            **(native_metadata if isinstance(native_metadata, dict) else {}),
        }
    tier = draft.take("service_tier")
    if tier in _SERVICE_TIERS:
        draft.body.setdefault("serviceTier", {"type": tier})
    elif tier != "auto":
        draft.leave_out("service_tier", tier)


def _write_model_fields(draft: BedrockRequestBuilder) -> None:
    """What only some models know, and what the caller knows of the model."""
    top_k = draft.take("top_k")
    if not draft.capabilities.top_k_path or _refuses_samplers(draft):
        draft.leave_out("top_k", top_k)
    elif top_k is not None:
        *outer, name = draft.capabilities.top_k_path
        nested: JsonObject = {name: top_k}
        for step in reversed(outer):
            nested = {step: nested}
        draft.model_fields.update(nested)
    betas = draft.take("anthropic_beta")
    if draft.capabilities.is_claude and isinstance(betas, str | list):
        draft.model_fields["anthropic_beta"] = [betas] if isinstance(betas, str) else betas
    else:
        draft.leave_out("anthropic_beta", betas)
    native_fields = draft.take("additionalModelRequestFields")
    model_fields = {**draft.model_fields, **(native_fields if isinstance(native_fields, dict) else {})}
    if model_fields:
        draft.body["additionalModelRequestFields"] = model_fields
