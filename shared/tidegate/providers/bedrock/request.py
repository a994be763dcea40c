"""A chat request as the body of Converse.

Source: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html and
…/API_runtime_ConverseStream.html (2026).
"""

import re

from tidegate.chat.request import ChatCall
from tidegate.json import Json, JsonObject
from tidegate.providers.bedrock import messages, thinking, tools
from tidegate.providers.bedrock.capabilities import capabilities_of
from tidegate.providers.bedrock.request_builder import TOOL_NAME_RULES, BedrockRequestBuilder
from tidegate.providers.openai import legacy_functions
from tidegate.providers.request_builder import is_email, provider_fields
from tidegate.providers.strict_schemas import CLAUDE_LIMITS, NO_LIMITS, SchemaBudget
from tidegate.providers.toolnames import ToolNames

_NATIVE_FIELDS = (
    *("guardrailConfig", "performanceConfig", "promptVariables", "additionalModelResponseFieldPaths"),
    *("requestMetadata", "serviceTier"),
)
"""Converse's own fields, which are passed on unchanged."""

_HANDLED_ELSEWHERE = frozenset({"model", "stream", "stream_options"})
_SERVICE_TIERS = frozenset({"default", "flex", "priority", "reserved"})
_METADATA_TEXT = re.compile(r"[a-zA-Z0-9\s:_@$#=/+,.-]{1,256}", re.ASCII)
_MAX_METADATA_ENTRIES = 16


def build(call: ChatCall, model: str) -> BedrockRequestBuilder:
    """Translate the call for `model`. Raises `InvalidRequest` for content that Bedrock does not support."""
    remaining, is_plain = provider_fields(call), call.request.is_plain
    if not is_plain and legacy_functions.uses_functions(remaining):
        legacy_functions.translate_to_tools(remaining)
    names = ToolNames(TOOL_NAME_RULES, None if is_plain else remaining)
    capabilities = capabilities_of(model)
    schemas = SchemaBudget(CLAUDE_LIMITS if capabilities.is_claude else NO_LIMITS)
    builder = BedrockRequestBuilder(call, remaining, names, model=model, capabilities=capabilities, schemas=schemas)
    messages.write(builder)
    if not is_plain:
        thinking.write(builder)
        tools.write(builder)
    _write_inference_config(builder)
    if not is_plain or "user" in remaining:
        _write_metadata(builder)
    if not is_plain:
        _write_model_fields(builder)
    for name, value in builder.remaining.items():
        if name not in _HANDLED_ELSEWHERE:
            builder.leave_out(name, value)
    return builder


def _write_inference_config(builder: BedrockRequestBuilder) -> None:
    inference: JsonObject = {}
    limit = builder.call.request.output_limit
    builder.take("max_tokens")
    builder.take("max_completion_tokens")
    if limit is not None:
        inference["maxTokens"] = limit
    temperature, top_p = builder.take("temperature"), builder.take("top_p")
    refuses_samplers = _refuses_samplers(builder)
    # Converse's maximum is 1, OpenAI's is 2.
    if refuses_samplers or not isinstance(temperature, int | float) or temperature > 1:
        builder.leave_out("temperature", temperature)
    else:
        inference["temperature"] = temperature
    if refuses_samplers or (builder.capabilities.samplers == "one" and "temperature" in inference):
        builder.leave_out("top_p", top_p)
    elif top_p is not None:
        inference["topP"] = top_p
    stops = _take_stop_sequences(builder)
    if stops:
        inference["stopSequences"] = stops
    if inference:
        builder.body["inferenceConfig"] = inference


def _refuses_samplers(builder: BedrockRequestBuilder) -> bool:
    """The model refuses temperature and top_p: the newest Claude models, thinking ones, and Nova at high effort."""
    match builder.model_fields.get("reasoningConfig"):
        case {"maxReasoningEffort": "high"}:
            return True
        case _:
            return builder.capabilities.samplers == "none" or builder.thinking_enabled


def _take_stop_sequences(builder: BedrockRequestBuilder) -> list[Json]:
    stop = builder.take("stop")
    requested: list[Json] = [stop] if isinstance(stop, str) else stop if isinstance(stop, list) else []
    texts = [sequence for sequence in requested if isinstance(sequence, str)]
    supported = [text for text in texts if (text.strip() if builder.capabilities.is_claude else text)]
    if len(supported) != len(requested):  # Converse refuses empty sequences, and Claude blank ones
        builder.report_ignored("stop")
    return [*supported]


def _write_metadata(builder: BedrockRequestBuilder) -> None:
    """Write `requestMetadata` (16 short texts for the invocation log), native fields and the service tier."""
    request_metadata: JsonObject = {}
    metadata = builder.take("metadata")
    pairs = list(metadata.items()) if isinstance(metadata, dict) else []
    user = builder.take("user")
    if is_email(user):
        builder.report_ignored("user")
        user = None
    for name, value in [*pairs, *([("user", user)] if user is not None else [])]:
        fits = isinstance(value, str) and _METADATA_TEXT.fullmatch(value) and _METADATA_TEXT.fullmatch(name)
        if fits and len(request_metadata) < _MAX_METADATA_ENTRIES:
            request_metadata[name] = value
        else:
            builder.ignored.append("user" if (name, value) == ("user", user) else f"metadata.{name}")
    for name in _NATIVE_FIELDS:
        value = builder.take(name)
        if value is not None:
            builder.body[name] = value
    if request_metadata:
        native = builder.body.get("requestMetadata")
        builder.body["requestMetadata"] = {**request_metadata, **(native if isinstance(native, dict) else {})}
    tier = builder.take("service_tier")
    if tier in _SERVICE_TIERS:
        builder.body.setdefault("serviceTier", {"type": tier})
    elif tier != "auto":
        builder.leave_out("service_tier", tier)


def _write_model_fields(builder: BedrockRequestBuilder) -> None:
    """Write `additionalModelRequestFields`: options of single model families, and the caller's own fields."""
    top_k = builder.take("top_k")
    if not builder.capabilities.top_k_path or _refuses_samplers(builder):
        builder.leave_out("top_k", top_k)
    elif top_k is not None:
        *outer, name = builder.capabilities.top_k_path
        nested: JsonObject = {name: top_k}
        for step in reversed(outer):
            nested = {step: nested}
        builder.model_fields.update(nested)
    betas = builder.take("anthropic_beta")
    if builder.capabilities.is_claude and isinstance(betas, str | list):
        builder.model_fields["anthropic_beta"] = [betas] if isinstance(betas, str) else betas
    else:
        builder.leave_out("anthropic_beta", betas)
    native_fields = builder.take("additionalModelRequestFields")
    model_fields = {**builder.model_fields, **(native_fields if isinstance(native_fields, dict) else {})}
    if model_fields:
        builder.body["additionalModelRequestFields"] = model_fields
