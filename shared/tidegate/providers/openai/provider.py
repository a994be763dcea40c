"""A provider that speaks OpenAI's dialect, with the quirks of its row.

Sources: https://platform.openai.com/docs/api-reference/chat (2026), and for what chat completions lacks
https://platform.openai.com/docs/api-reference/responses (2026-11).
"""

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import TypeAlias

from msgspec import Struct

from tidegate.chat.completion import Completion
from tidegate.chat.fields import ChatFields
from tidegate.chat.request import ChatCall
from tidegate.domain.deployment import Deployment
from tidegate.errors import UpstreamError
from tidegate.json import Json, JsonObject, encode
from tidegate.lazy import load
from tidegate.providers.base import Auth, Framing, Headers, StreamTranslator, UpstreamRequest
from tidegate.providers.compatible_row import Row
from tidegate.providers.openai import completion, failure, legacy_functions, parts, request, stream
from tidegate.providers.openai.quirks import Quirks
from tidegate.providers.openai.request_builder import OpenAIRequestBuilder, rule_for

_MAX_REMEMBERED = 1_000
"""How many deployments of one provider have their `PlainCalls` remembered. When there are more, all are forgotten."""


class PlainCalls(Struct, frozen=True):
    """Holds what is the same for all plain calls of one deployment. `model` is None if they need the Responses API.

    `parse_plain`: see `UpstreamRequest`.
    """

    url: str
    headers: dict[str, str]
    auth: Auth
    model: request.PlainModel | None
    parse_plain: Callable[[bytes], Completion | None] | None
    signs_reasoning: bool


class OpenAI(Struct, frozen=True, dict=True):
    """A provider that speaks OpenAI's dialect, defined by its row."""

    row: Row
    framing: Framing = "sse"
    dialects: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        return self.row.name

    def signs_reasoning(self, call: ChatCall, deployment: Deployment) -> bool:
        if call.request.is_plain:
            plain = self._remembered_plain_calls.get(deployment) or self._remember_plain_calls(call, deployment)
            return plain.signs_reasoning
        return self._signs_reasoning(self._uses_responses(call, deployment), deployment)

    def _signs_reasoning(self, uses_responses: bool, deployment: Deployment) -> bool:
        if self.row.quirks.needs_replay:
            return True
        return uses_responses and rule_for(deployment.model, self.row.quirks).reasoning != "none"

    @cached_property
    def _remembered_plain_calls(self) -> dict[Deployment, PlainCalls]:
        return {}

    def _remember_plain_calls(self, call: ChatCall, deployment: Deployment) -> PlainCalls:
        """Return what the plain `call` has in common with other plain calls of the deployment."""
        remembered = self._remembered_plain_calls
        if len(remembered) >= _MAX_REMEMBERED:
            remembered.clear()
        uses_responses = self._uses_responses(call, deployment)
        remembered[deployment] = plain = PlainCalls(
            self.url(deployment),
            {"content-type": "application/json"},
            self.row.auth,
            None if uses_responses else request.plain_model(deployment.model, self.row.quirks),
            None if self.row.quirks.think_tags else completion.parse_plain,
            self._signs_reasoning(uses_responses, deployment),
        )
        return plain

    def url(self, deployment: Deployment, path: str = "/chat/completions") -> str:
        """Return the URL of one of the provider's APIs."""
        return f"{deployment.base_url.rstrip('/')}{path}"

    def has_responses(self, deployment: Deployment) -> bool:
        """True if the Responses API is at the deployment's base URL."""
        return True

    def media_urls(self, call: ChatCall, deployment: Deployment) -> Mapping[str, str]:
        return dict(parts.urls_to_fetch(self.row.quirks.files, call.request.fields.messages))

    def build_request(self, call: ChatCall, deployment: Deployment) -> UpstreamRequest:
        plain_body = call.request.plain
        if plain_body is not None:
            plain = self._remembered_plain_calls.get(deployment) or self._remember_plain_calls(call, deployment)
            body = None if plain.model is None else request.build_plain(plain_body, plain.model)
            if body is not None:
                ignored = ()
                # By position, in the order of `UpstreamRequest`: each plain call makes one.
                return UpstreamRequest(plain.url, body, plain.headers, plain.auth, ignored, call.id, plain.parse_plain)
        return self._build_request(call, deployment)

    def _build_request(self, call: ChatCall, deployment: Deployment) -> UpstreamRequest:
        if self._uses_responses(call, deployment):
            build: _Build = load("tidegate.providers.openai_responses.request", "build")
            path, dialect = "/responses", "responses"
        else:
            build, path, dialect = request.build, "/chat/completions", "own"
        with legacy_functions.CallerPaths(call.request.body):
            builder = build(call, deployment.model, self.row.quirks)
        return UpstreamRequest(
            url=self.url(deployment, path),
            body=encode(builder.body),
            auth=self.row.auth,
            ignored=tuple(dict.fromkeys(builder.ignored)) if builder.ignored else (),
            caller_tool_names=builder.caller_tool_names,
            legacy_functions=builder.legacy_functions,
            call_id=call.id,
            names_tool=dialect == "own" and _names_tool(builder.body),
            dialect=dialect,
        )

    def native_request(self, call: ChatCall, deployment: Deployment) -> UpstreamRequest | None:
        origin, messages_api = call.request.origin, self.row.quirks.native_messages
        if messages_api is not None and origin is not None and origin.dialect == "messages":
            has_api = deployment.base_url.rstrip("/") == self.row.base_url
            build = load("tidegate.providers.anthropic.native", "native_request_at")
            return build(call, deployment, messages_api, self.row.quirks.model_prefix) if has_api else None
        if self.row.quirks.native_responses is None or not self.has_responses(deployment):
            return None
        build = load("tidegate.providers.openai_responses.native", "native_request")
        return build(call, deployment, self.row, self.url(deployment, "/responses"))

    def parse_completion(self, body: Json) -> Completion:
        return completion.parse(self.row.name, self.row.quirks, body)

    def new_stream(self) -> StreamTranslator:
        return stream.new_stream(self.row.name, self.row.quirks)

    def parse_error(self, status: int, headers: Headers, body: Json | str) -> UpstreamError:
        return failure.from_reply(self.row.name, status, headers, body)

    def _uses_responses(self, call: ChatCall, deployment: Deployment) -> bool:
        """True if the call needs the Responses API, by the rule of its model and by what it asks for."""
        uses = self.row.quirks.responses
        if not uses or not self.has_responses(deployment):
            return False
        rule, fields = rule_for(deployment.model, self.row.quirks), call.request.fields
        if rule.responses_only:
            return "models" in uses
        if "search" in uses and rule.web_search is None and _searches(fields):
            return True
        if "tools" not in uses or rule.tools_while_reasoning or not (fields.tools or fields.functions):
            return False
        reasoning = call.request.reasoning
        return rule.reasons != "when_asked" if reasoning is None else reasoning.enabled


_Build: TypeAlias = Callable[[ChatCall, str, Quirks], OpenAIRequestBuilder]


def _searches(fields: ChatFields) -> bool:
    return fields.web_search_options is not None or any(
        tool.type.startswith("web_search") for tool in fields.tools or ()
    )


def _names_tool(body: JsonObject) -> bool:
    choice = body.get("tool_choice") or body.get("function_call")
    return isinstance(choice, dict) and not isinstance(choice.get("allowed_tools"), dict)


def provider(row: Row) -> OpenAI:
    """Return the provider that `row` defines."""
    return OpenAI(row)
