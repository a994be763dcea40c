"""The request being built for a provider of OpenAI's dialect: its body, and the caller's fields that are ignored."""

from collections.abc import Mapping
from functools import lru_cache
from re import Pattern, compile

from msgspec import Struct

from tidegate.chat.request import ChatRequest
from tidegate.domain.call import Media
from tidegate.json import Json, JsonObject
from tidegate.providers.openai import legacy_functions
from tidegate.providers.openai.quirks import ModelRule, Quirks
from tidegate.providers.request_builder import NEUTRAL_VALUES


class OpenAIRequestBuilder(Struct):
    """`body` may be changed at its top level only: nested values belong to the caller until they are copied."""

    request: ChatRequest
    quirks: Quirks
    body: JsonObject
    signatures: Mapping[int, Json]
    media: Mapping[str, Media]
    caching: bool = False
    caller_tool_names: Mapping[str, str] = {}
    legacy_functions: bool = False
    ignored: list[str] = []

    def take(self, name: str) -> Json:
        """Remove a field from the body and return its value, None if it is missing."""
        return self.body.pop(name, None)

    def leave_out(self, name: str) -> None:
        """Remove a field and report it, unless its value has no effect."""
        if name in self.body and self.body.pop(name) != NEUTRAL_VALUES.get(name, self):
            self.report_ignored(name)

    def reasons(self, rule: ModelRule) -> bool:
        """True if the model will reason: it was asked to, or does so by itself, and no tools prevent it."""
        if self.tools_prevent_reasoning(rule):
            return False
        reasoning = self.request.reasoning
        if reasoning is None:
            return rule.reasons != "when_asked"
        return reasoning.enabled or rule.reasons == "always"

    def tools_prevent_reasoning(self, rule: ModelRule) -> bool:
        return not rule.tools_while_reasoning and bool(self.body.get("tools") or self.body.get("functions"))

    def report_ignored(self, name: str) -> None:
        """Report a field as ignored, under the caller's name for it."""
        caller_path = legacy_functions.caller_path(self.request.body, name)
        if caller_path is not None:
            self.ignored.append(caller_path)


def rule_for(model: str, quirks: Quirks) -> ModelRule:
    """Return the first rule that matches the model, or one that changes nothing."""
    if not quirks.models:
        return _NO_RULE
    key = (id(quirks.models), model)
    remembered = _remembered_rules.get(key)
    if remembered is None or remembered[0] is not quirks.models:
        name = model.lower()
        rule = next((rule for rule in quirks.models if _compiled(rule.pattern).search(name)), _NO_RULE)
        if len(_remembered_rules) >= _MAX_REMEMBERED_RULES:
            _remembered_rules.clear()
        remembered = _remembered_rules[key] = (quirks.models, rule)
    return remembered[1]


_NO_RULE = ModelRule("")

_MAX_REMEMBERED_RULES = 1_000

_remembered_rules: dict[tuple[int, str], tuple[tuple[ModelRule, ...], ModelRule]] = {}
"""The rules of models that were asked for, beside the rules they were found in: hashing these takes longer."""


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> Pattern[str]:
    return compile(pattern)
