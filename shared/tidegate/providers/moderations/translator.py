"""The `Translator` of moderations at one provider, in OpenAI's dialect.

Sources, read in 2026-11: https://platform.openai.com/docs/api-reference/moderations/create,
https://docs.mistral.ai/api/endpoint/classifiers (texts alone; replies do not say `flagged`).
"""

from collections.abc import Callable
from typing import TypeGuard

from tidegate.domain.call import Call
from tidegate.domain.deployment import Deployment
from tidegate.domain.operation import Reply
from tidegate.errors import InvalidRequest
from tidegate.json import Json, JsonObject, encode
from tidegate.moderations.request import ModerationCall, ModerationRequest
from tidegate.providers.base import Auth, KeyAuth, UpstreamRequest
from tidegate.providers.texts_translator import TextsTranslator, caller_fields, input_usage


class ModerationTranslator(TextsTranslator, frozen=True, kw_only=True):
    """Translates moderations. `takes_parts`: an input may have several parts, such as images. See `Translator`."""

    url: Callable[[Deployment, str], str]
    auth: Auth = KeyAuth()
    takes_parts: bool = False

    def build_request(self, call: Call, deployment: Deployment) -> UpstreamRequest:
        request = _moderation(call).request
        if request.has_parts and not self.takes_parts:
            message = f"{self.name} takes texts alone: send 'input' as a text or a list of texts."
            raise InvalidRequest(message, param="input")
        body: JsonObject = {"model": deployment.model, "input": request.body["input"]}
        ignored = tuple(name for name in caller_fields(request.body) if name != "input")
        url = self.url(deployment, "/moderations")
        return UpstreamRequest(url, encode(body), auth=self.auth, ignored=ignored)

    def parse_reply(self, request: UpstreamRequest, body: Json) -> Reply:
        match body:
            case {"results": [*results]}:
                usage = body.get("usage")
                tokens = usage.get("prompt_tokens") if isinstance(usage, dict) else None
                return {"results": [self._result(result) for result in results], "usage": input_usage(tokens)}
            case {"error": dict()}:
                raise self.parse_error(400, {}, body)
            case _:
                raise self.malformed("it has no list of results")

    def _result(self, result: Json) -> JsonObject:
        match result:
            case {"categories": dict(categories), "category_scores": dict()}:
                flagged = result.get("flagged")
                return {"flagged": any(categories.values()) if flagged is None else flagged, **result}
            case _:
                raise self.malformed("a result has no categories")


def _is_moderation(call: Call) -> TypeGuard[ModerationCall]:
    return isinstance(call.request, ModerationRequest)


def _moderation(call: Call) -> ModerationCall:
    if not _is_moderation(call):
        raise TypeError("A translator of moderations got a call of another operation.")
    return call
