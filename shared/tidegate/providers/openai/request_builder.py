"""A request on its way out: the body as far as it is written, and what had to be left out of it."""

from collections.abc import Mapping
from functools import lru_cache
from re import Pattern, compile

from msgspec import Struct, field

from tidegate.chat.request import ChatRequest
from tidegate.domain.call import Media
from tidegate.json import Json, JsonObject
from tidegate.providers.openai import legacy_functions
from tidegate.providers.openai.quirks import ModelRule, Quirks
from tidegate.providers.request_builder import NEUTRAL_VALUES


class OpenAIRequestBuilder(Struct):
    """`body` is ours to change at its top level only; everything below it is the caller's until it is copied."""

    request: ChatRequest
    quirks: Quirks
    body: JsonObject
    signatures: Mapping[str, Json]
    media: Mapping[str, Media]
    caching: bool = False
    caller_tool_names: Mapping[str, str] = field(default_factory=dict[str, str])
    legacy_functions: bool = False
    ignored: list[str] = field(default_factory=list[str])

    def take(self, name: str) -> Json:
        """Remove a field and give its value, None where it is not there."""
        return self.body.pop(name, None)

    def leave_out(self, name: str) -> None:
        """Remove a field and report it, unless it asked for nothing."""
        if name in self.body and self.body.pop(name) != NEUTRAL_VALUES.get(name, self):
            self.report_ignored(name)

    def report_ignored(self, name: str) -> None:
        """Report a field by the name that the caller gave it."""
        told = legacy_functions.caller_path(self.request.body, name)
        if told is not None:
            self.ignored.append(told)


def rule_for(model: str, quirks: Quirks) -> ModelRule:
    """What holds for that model: the first rule that matches, or one that changes nothing."""
    name = model.lower()
    return next((rule for rule in quirks.models if _compiled(rule.pattern).search(name)), _NO_RULE)


_NO_RULE = ModelRule("")


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> Pattern[str]:
    return compile(pattern)
