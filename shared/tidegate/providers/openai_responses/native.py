"""Requests in the dialect of OpenAI's Responses API to a provider that has it: the caller's body.

State is the gateway's: the provider keeps nothing, and gets no id of something kept. Fields that the gateway does not
know go on as they are. A request with tools or items that the provider does not take, or that name what its account
owns, is translated.

Sources: https://platform.openai.com/docs/api-reference/responses/create,
https://platform.openai.com/docs/guides/reasoning (encrypted reasoning without state), 2026-11.
"""

from collections.abc import Iterable

from tidegate.chat.request import ChatCall
from tidegate.domain.deployment import Deployment
from tidegate.json import Json, encode
from tidegate.providers.account_ids import has_account_ids
from tidegate.providers.base import UpstreamRequest
from tidegate.providers.compatible_row import Row
from tidegate.providers.native import caller_body
from tidegate.providers.openai.quirks import NativeResponses
from tidegate.providers.openai.request_builder import rule_for
from tidegate.providers.openai_responses.request import MIN_OUTPUT_TOKENS

DIALECT = "responses"

_LIMIT = "max_output_tokens"
_ENCRYPTED = "reasoning.encrypted_content"
_STATE_FIELDS = ("previous_response_id", "conversation", "background", "prompt")
"""References to what the gateway keeps: it has put that into the input."""


def native_request(call: ChatCall, deployment: Deployment, row: Row, url: str) -> UpstreamRequest | None:
    """See `Provider.native_request`. None also for tools and items that the row's Responses API does not take."""
    origin, api = call.request.origin, row.quirks.native_responses
    if origin is None or origin.dialect != DIALECT or origin.body is None or api is None:
        return None
    tools, items = origin.body.get("tools"), origin.body.get("input")
    if not _takes(api, tools, items) or has_account_ids(call, deployment, tools, items):
        return None
    model = deployment.model if "/" in deployment.model else row.quirks.model_prefix + deployment.model
    body = caller_body(call, model, _LIMIT)
    limit = body.get(_LIMIT)
    if isinstance(limit, int) and limit < MIN_OUTPUT_TOKENS:
        body[_LIMIT] = MIN_OUTPUT_TOKENS
    for name in _STATE_FIELDS:
        body.pop(name, None)
    body["store"] = False
    if (
        api.encrypts
        and origin.conversation is not None
        and origin.conversation.is_on
        and _reasons(call, deployment, row)
    ):
        body["include"] = _with_encrypted(body.get("include"))
    refused = [name for name in sorted(api.refused) if body.pop(name, None) is not None and name != "store"]
    return UpstreamRequest(
        url,
        encode(body),
        headers={"content-type": "application/json", **origin.headers},
        auth=row.auth,
        ignored=tuple(refused),
        call_id=call.id,
        dialect=DIALECT,
        is_native=True,
    )


def _takes(api: NativeResponses, tools: Json, items: Json) -> bool:
    if api.tools is not None and not all(each in api.tools for each in _types(tools, "function")):
        return False
    return api.items is None or all(each in api.items for each in _types(items, "message"))


def _types(values: Json, default: str) -> Iterable[Json]:
    for value in values if isinstance(values, list) else ():
        if isinstance(value, dict):
            yield value.get("type") or default


def _reasons(call: ChatCall, deployment: Deployment, row: Row) -> bool:
    """True if the model will reason: models without reasoning refuse to encrypt it."""
    rule, reasoning = rule_for(deployment.model, row.quirks), call.request.reasoning
    if rule.reasoning == "none":
        return False
    if reasoning is None:
        return rule.reasons != "when_asked"
    return reasoning.enabled or rule.reasons == "always"


def _with_encrypted(include: Json) -> list[Json]:
    """Ask for encrypted reasoning: the gateway keeps the reply, and must be able to go on from it."""
    names = include if isinstance(include, list) else []
    return names if _ENCRYPTED in names else [*names, _ENCRYPTED]
