"""The request being built for a provider with its own dialect: its body, and the caller's fields not yet translated."""

import re
from collections.abc import Mapping
from functools import lru_cache
from urllib.parse import quote

from msgspec import Struct

from tidegate.chat.request import ChatCall
from tidegate.domain.gateway_fields import GATEWAY_FIELDS
from tidegate.json import Json, JsonObject, encode
from tidegate.providers.base import Auth, UpstreamRequest
from tidegate.providers.openai import legacy_functions
from tidegate.providers.toolnames import ToolNames

NEUTRAL_VALUES: dict[str, Json] = {
    **{"temperature": 1, "top_p": 1, "n": 1, "repetition_penalty": 1, "min_p": 0, "top_a": 0},
    **{"presence_penalty": 0, "frequency_penalty": 0, "top_logprobs": 0},
    **{"logprobs": False, "parallel_tool_calls": True, "store": False},
    **{"service_tier": "auto", "tool_choice": "auto", "function_call": "auto", "verbosity": "medium"},
    **{"logit_bias": {}, "metadata": {}, "stop": [], "functions": []},
    **{"modalities": ["text"], "response_format": {"type": "text"}},
}
"""Values without any effect: a field that has one is omitted without a report."""

quote_name = lru_cache(maxsize=1_000)(quote)
"""Returns the name of a model as a part of a URL. To quote the longest ones takes 3 µs (2026-11)."""

_EMAIL = re.compile(r"[^\s@]@[^\s@]")


class RequestBuilder(Struct):
    """`body` is the provider's; `remaining` holds the caller's fields that have not been translated yet.

    `answer_tool` is the name of the tool that was added so that its arguments are the answer in JSON.
    """

    call: ChatCall
    remaining: JsonObject
    tool_names: ToolNames
    body: JsonObject = {}
    answer_tool: str | None = None
    ignored: list[str] = []

    def take(self, name: str) -> Json:
        """Remove a field from the caller's and return its value, None if it was not sent."""
        return self.remaining.pop(name, None)

    def leave_out(self, name: str, value: Json) -> None:
        """Report a field that the provider cannot honour, unless its value has no effect."""
        if value is not None and not (name in NEUTRAL_VALUES and value == NEUTRAL_VALUES[name]):
            self.report_ignored(name)

    def report_ignored(self, path: str) -> None:
        """Report the field at `path` as ignored, under the caller's name for it."""
        caller_path = legacy_functions.caller_path(self.call.request.body, path)
        if caller_path is not None:
            self.ignored.append(caller_path)

    def upstream_request(self, url: str, auth: Auth, headers: Mapping[str, str] | None = None) -> UpstreamRequest:
        """Return the request to send, once `body` is complete; `headers` are added to the content type."""
        request = self.call.request
        return UpstreamRequest(
            url,
            encode(self.body),
            headers={"content-type": "application/json", **(headers or {})},
            auth=auth,
            ignored=tuple(dict.fromkeys(self.ignored)) if self.ignored else (),
            caller_tool_names=self.tool_names.caller_names,
            answer_tool=self.answer_tool,
            legacy_functions=not request.is_plain and legacy_functions.expects_function_call(request.body),
            call_id=self.call.id,
        )


def is_email(user: Json) -> bool:
    """True if an end user's id contains an e-mail address, which must not reach a provider."""
    return isinstance(user, str) and _EMAIL.search(user) is not None


def provider_fields(call: ChatCall) -> JsonObject:
    """Return the caller's fields that are meant for the provider. Nested values are shared with the call."""
    body = call.request.body
    if call.request.is_plain:
        return {**body}
    return {name: value for name, value in body.items() if value is not None and name not in GATEWAY_FIELDS}
