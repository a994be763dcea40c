"""A request on its way to a provider with a dialect of its own: what is written, what is left, what was left out."""

import re

from msgspec import Struct, field

from tidegate.chat.request import ChatCall
from tidegate.domain.gateway_fields import GATEWAY_FIELDS
from tidegate.json import Json, JsonObject
from tidegate.providers.openai import legacy_functions

NEUTRAL_VALUES: dict[str, Json] = {
    "temperature": 1,
    "top_p": 1,
    "n": 1,
    "presence_penalty": 0,
    "frequency_penalty": 0,
    "repetition_penalty": 1,
    "logprobs": False,
    "parallel_tool_calls": True,
    "store": False,
    "logit_bias": {},
    "stop": [],
    "modalities": ["text"],
    "service_tier": "auto",
    "top_logprobs": 0,
    "verbosity": "medium",
    "metadata": {},
    "tool_choice": "auto",
    "function_call": "auto",
    "functions": [],
    "response_format": {"type": "text"},
}
"""Values that ask for nothing: leaving them out needs no report."""

_EMAIL = re.compile(r"[^\s@]@[^\s@]")


class RequestBuilder(Struct):
    """`body` is the provider's; `left` holds the caller's fields until someone takes them."""

    call: ChatCall
    remaining: JsonObject
    body: JsonObject = field(default_factory=dict[str, Json])
    ignored: list[str] = field(default_factory=list[str])

    def take(self, name: str) -> Json:
        """Take a field of the caller's, None where it was not sent."""
        return self.remaining.pop(name, None)

    def leave_out(self, name: str, value: Json) -> None:
        """Report a field that cannot be said, unless it asks for nothing."""
        if value is not None and not (name in NEUTRAL_VALUES and value == NEUTRAL_VALUES[name]):
            self.report_ignored(name)

    def report_ignored(self, path: str) -> None:
        """Report what cannot be said, by the name that the caller gave it."""
        told = legacy_functions.caller_path(self.call.request.body, path)
        if told is not None:
            self.ignored.append(told)

    def ignored_fields(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(self.ignored))


def is_email(user: Json) -> bool:
    """Whether an end user's id holds an e-mail address, which is no provider's to know."""
    return isinstance(user, str) and _EMAIL.search(user) is not None


def provider_fields(call: ChatCall) -> JsonObject:
    """The caller's fields that are meant for the provider. They are the caller's own below their top level."""
    return {
        name: value for name, value in call.request.body.items() if value is not None and name not in GATEWAY_FIELDS
    }
