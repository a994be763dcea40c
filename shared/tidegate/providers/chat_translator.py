"""The `Translator` of chat completions at one provider; restores the caller's own terms in every reply."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import cast

from msgspec import Struct
from msgspec.structs import replace

from tidegate.chat.completion import Chunk, Completion, CompletionMessage, Delta
from tidegate.chat.messages import TextPart
from tidegate.chat.request import ChatCall, ChatRequest
from tidegate.domain.call import Call
from tidegate.domain.deployment import Deployment
from tidegate.domain.operation import Reply, ReplyChunk
from tidegate.domain.origin import Origin
from tidegate.errors import UpstreamError
from tidegate.json import Json
from tidegate.lazy import load
from tidegate.providers.base import (
    Framing,
    Headers,
    Provider,
    StreamParser,
    StreamTranslator,
    UpstreamRequest,
)

_PRICE_CHANGING_FIELDS = frozenset(
    {"service_tier", "serviceTier", "performanceConfig", "additionalModelRequestFields", "speed", "inference_geo"}
    | {"guardrailConfig", "modelArmorConfig", "model_armor_config"}
    | {"providerOptions", "search_type", "web_search_options", "search_parameters", "generationConfig"}
    | {"max_new_tokens", "max_output_tokens", "max_length", "max_gen_len", "max_tokens_to_sample"}
    | {"max_tokens_to_generate", "maxTokens", "maxOutputTokens", "maxCompletionTokens", "n_predict", "num_predict"}
    | {"options", "parameters", "num_choices", "num_return_sequences", "num_generations", "numResults"}
    | {"candidate_count", "candidateCount", "n_completions", "num_completions"}
    | {"generation_config", "best_of", "extra_body", "extra_headers", "extra_query", "route", "preset", "plugins"}
    | {"context_window_fallbacks", "content_policy_fallbacks", "default_fallbacks", "fallback_models", "model_list"}
    | {"router_settings_override", "user_config", "custom_llm_provider", "api_base", "base_url", "routingConfig"}
    | {"routing_config", "modelSelectionConfig", "model_selection_config"}
)
"""The top-level fields of `price_fields.py`, which is loaded for requests that have one."""

_ACCOUNT_FIELDS = frozenset(
    {
        "billing_policy",
        "cachedContent",
        "cached_content",
        "container",
        "conversation",
        "previous_response_id",
        "user_profile_id",
    }
)
_TEXT_REFERENCE_PROVIDERS = ("qwen",)
"""The fields and providers of `account_ids.py`, which is loaded for requests that have one, or media, or such tools."""

_NATIVE, _LOOP = "tidegate.providers.native", "tidegate.providers.stream_loop"
_CALLER_TOOLS = frozenset({"function", "custom"})


class ChatTranslator(Struct, frozen=True):
    """Translates chat completions with `provider`. See `Translator`.

    `allowed_price_fields` are the paths of fields that are sent although their price is not known.
    """

    provider: Provider
    allowed_price_fields: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        return self.provider.name

    @property
    def framing(self) -> Framing:
        return self.provider.framing

    def signs_reasoning(self, call: Call, deployment: Deployment) -> bool:
        return self.provider.signs_reasoning(_chat(call), deployment)

    def media_urls(self, call: Call, deployment: Deployment) -> Mapping[str, str]:
        return self.provider.media_urls(_chat(call), deployment)

    def build_request(self, call: Call, deployment: Deployment) -> UpstreamRequest:
        request = call.request
        if request.is_plain and request.origin is None and deployment.provider not in _TEXT_REFERENCE_PROVIDERS:
            return self.provider.build_request(_chat(call), deployment)
        return self._build_request(_chat(call), deployment)

    def _build_request(self, chat_call: ChatCall, deployment: Deployment) -> UpstreamRequest:
        origin, ignored = chat_call.request.origin, ()
        if origin is not None and origin.body is not None:
            native = self._native_request(chat_call, origin, deployment)
            if native is not None:
                return native
        if origin is not None and origin.refusals:
            origin.check_translatable()
        if origin is not None and origin.make_portable is not None and origin.dialect not in self.provider.dialects:
            body, ignored = origin.make_portable(chat_call.request.body)
            if body != chat_call.request.body:
                chat_call = replace(chat_call, request=chat_call.request.with_body(body))
        if may_change_price(chat_call):
            without_unpriced = load("tidegate.providers.price_fields", "without_unpriced")
            chat_call, unpriced = without_unpriced(chat_call, deployment, self.allowed_price_fields)
            ignored = (*ignored, *unpriced)
        if may_refer_to_account(chat_call, deployment):
            without_account_ids = load("tidegate.providers.account_ids", "without_account_ids")
            chat_call, left_out = without_account_ids(chat_call, deployment)
            ignored = (*ignored, *left_out)
        request = self.provider.build_request(chat_call, deployment)
        if ignored:
            request = replace(request, ignored=tuple(dict.fromkeys((*ignored, *request.ignored))))
        caller_tools = chat_call.request.body.get("tools") or chat_call.request.body.get("functions")
        return replace(request, caller_tools=caller_tools) if caller_tools else request

    def _native_request(self, call: ChatCall, origin: Origin, deployment: Deployment) -> UpstreamRequest | None:
        """Return the request as its caller sent it; None if the provider lacks its dialect or may not get all of it."""
        native = self.provider.native_request(call, deployment)
        if native is None or origin.body is None:
            return None
        owns_account = deployment.secret is not None and call.workspace.has_credential(deployment.secret)
        may_pass = load("tidegate.providers.native_checks", "may_pass")
        if not may_pass(origin.body, owns_account=owns_account, allowed=self.allowed_price_fields):
            return None
        body = call.request.body if origin.add_lost_fields is None else origin.add_lost_fields(call.request.body)
        checked = call if body is call.request.body else replace(call, request=call.request.with_body(body))
        if may_change_price(checked):
            without_unpriced = load("tidegate.providers.price_fields", "without_unpriced")
            if without_unpriced(checked, deployment, self.allowed_price_fields)[1]:
                return None
        if may_refer_to_account(checked, deployment):
            without_account_ids = load("tidegate.providers.account_ids", "without_account_ids")
            if without_account_ids(checked, deployment)[1]:
                return None
        return native

    def parse_reply(self, request: UpstreamRequest, body: Json) -> Reply:
        completion = parse_completion(self.provider, request, body)
        if request.is_native:
            return load(_NATIVE, "with_native_reply")(completion, body)
        for choice in completion["choices"]:
            if "tool_calls" in choice["message"] or "function_call" in choice["message"]:
                _finish_calls(request, choice["index"], choice["message"])
        if not needs_restoring(request):
            return completion
        return load("tidegate.providers.caller_terms", "restore_completion")(request, completion)

    def open_stream(self, request: UpstreamRequest) -> StreamParser:
        parser: StreamParser = load(_LOOP, "StreamLoop")(new_stream(self.provider, request))
        if request.is_native:
            parser = load(_NATIVE, "NativeStream")(parser)
        else:
            if request.caller_tools:
                parser = load(_LOOP, "ChangedStream")(parser, partial(_finish_all_calls, request))
            if needs_restoring(request):
                restorer = load("tidegate.providers.caller_terms", "StreamRestorer")(request)
                parser = load(_LOOP, "ChangedStream")(parser, restorer.restore)
        if request.has_framed_events:
            parser = load("tidegate.providers.bedrock.invoke", "UnframedStream")(parser)
        return parser

    def reply_chunks(self, reply: Reply) -> Sequence[ReplyChunk]:
        return list(load("tidegate.chat.replay", "completion_chunks")(reply))

    def has_content(self, chunk: ReplyChunk) -> bool:
        return bool(cast(Chunk, chunk)["choices"])

    def parse_error(self, status: int, headers: Headers, body: Json | str) -> UpstreamError:
        return self.provider.parse_error(status, headers, body)


def parse_completion(provider: Provider, request: UpstreamRequest, body: Json) -> Completion:
    """Translate a whole reply from the dialect in which the request was sent. Raises `UpstreamError`."""
    match request.dialect:
        case "own":
            return provider.parse_completion(body)
        case "messages":
            return load("tidegate.providers.anthropic.completion", "parse")(body)
        case "responses":
            return load("tidegate.providers.openai_responses.completion", "parse")(provider.name, body)


def new_stream(provider: Provider, request: UpstreamRequest) -> StreamTranslator:
    """Return the translator of a stream in the dialect in which the request was sent."""
    match request.dialect:
        case "own":
            return provider.new_stream()
        case "messages":
            return load("tidegate.providers.anthropic.stream", "new_stream")()
        case "responses":
            return load("tidegate.providers.openai_responses.stream", "new_stream")(provider.name)


def may_change_price(call: ChatCall) -> bool:
    """True if the request has a field or a tool that may change its price, or the model that answers."""
    if not _PRICE_CHANGING_FIELDS.isdisjoint(call.request.body):
        return True
    return _has_other_tools(call)


def may_refer_to_account(call: ChatCall, deployment: Deployment) -> bool:
    """True if the request may have an id or an address of something that the provider's account owns."""
    if not _ACCOUNT_FIELDS.isdisjoint(call.request.body) or deployment.provider in _TEXT_REFERENCE_PROVIDERS:
        return True
    if _has_other_tools(call):
        return True
    for message in call.request.fields.messages:
        content = message.content
        if isinstance(content, list) and any(type(part) is not TextPart for part in content):
            return True
    return False


def _has_other_tools(call: ChatCall) -> bool:
    """True if the request has a tool that the provider runs, or that only it knows."""
    return not {tool.type for tool in call.request.fields.tools or ()} <= _CALLER_TOOLS


def needs_restoring(request: UpstreamRequest) -> bool:
    """True if replies to the request are not in the caller's terms."""
    changes = request.caller_tool_names or request.legacy_functions or request.names_tool
    return bool(changes) or request.answer_tool is not None


def _finish_calls(request: UpstreamRequest, choice_index: int, message: CompletionMessage | Delta) -> None:
    load("tidegate.providers.reply_calls", "finish_calls")(request, choice_index, message)


def _finish_all_calls(request: UpstreamRequest, batch: Sequence[ReplyChunk]) -> Sequence[ReplyChunk]:
    for chunk in cast("Sequence[Chunk]", batch):
        for choice in chunk["choices"]:
            if "tool_calls" in choice["delta"] or "function_call" in choice["delta"]:
                _finish_calls(request, choice["index"], choice["delta"])
    return batch


def _chat(call: Call) -> ChatCall:
    if type(call.request) is not ChatRequest:
        raise TypeError("A chat provider got a call of another operation.")
    # A call whose request is one for chat. Not `cast`, which is a call: this runs for each request.
    return call  # pyright: ignore[reportReturnType]
