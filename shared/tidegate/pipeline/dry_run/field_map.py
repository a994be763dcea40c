"""What becomes of a caller's fields at one deployment: which of them lead where, and which are refused.

Translation is pure, so that is found by translating with and without a field, and comparing.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import cast
from urllib.parse import quote

from msgspec.structs import replace

from tidegate.domain.call import Call
from tidegate.domain.deployment import Deployment
from tidegate.domain.gateway_fields import GATEWAY_FIELDS
from tidegate.errors import InvalidRequest
from tidegate.json import Json, JsonObject, decode
from tidegate.providers.base import Translator, UpstreamRequest

MAX_FIELDS = 64
"""Fields whose ways are told: each costs a translation. A request has fewer, but for those that nobody knows."""


def fields_sent_as(
    translator: Translator, call: Call, deployment: Deployment, request: UpstreamRequest
) -> dict[str, list[str]]:
    """By the caller's fields, the paths within the upstream `request` ("body.top_p", "url") that follow from them.

    No path: the field asks for what would happen without it. Left out are the gateway's own fields, and what the
    provider cannot be sent without.
    """
    sent, paths_by_field = _request_as_json(request), dict[str, list[str]]()
    for name, value in list(call.request.body.items())[:MAX_FIELDS]:
        if value is None or name in GATEWAY_FIELDS:
            continue
        if name == "model":
            paths_by_field[name] = list(_paths_of_model(deployment.model, sent))
            continue
        request_without = _translate_without(translator, call, deployment, name)
        if request_without is None:
            continue
        paths = list(differing_paths(sent, _request_as_json(request_without)))
        paths_by_field[name] = _body_fields(paths) if name == call.operation.prompt_field else paths
    return paths_by_field


def rejected_fields(translator: Translator, call: Call, deployment: Deployment) -> dict[str, str]:
    """What the provider is not to be asked for, by the paths of its fields, with the reasons."""
    reasons: dict[str, str] = {}
    while len(reasons) < MAX_FIELDS:
        try:
            translator.build_request(call, deployment)
        except InvalidRequest as error:
            path = error.param or "model"
            reasons.setdefault(path, error.message)
            name = path.partition(".")[0].partition("[")[0]
            if name in ("model", call.operation.prompt_field) or name not in call.request.body:
                break
            call = replace(call, request=call.request.without_fields((name, *call.operation.dependent_fields(name))))
        else:
            break
    return reasons


def differing_paths(one: Json, other: Json, path: str = "") -> Iterator[str]:
    """The paths at which two values differ; lists of another length differ as a whole."""
    match one, other:
        case dict(), dict():
            for name in dict.fromkeys((*one, *other)):
                below = f"{path}.{name}" if path else name
                if name in one and name in other:
                    yield from differing_paths(one[name], other[name], below)
                else:
                    yield from _leaf_paths(one[name] if name in one else other[name], below)
        case list(), list() if len(one) == len(other):
            for i, (left, right) in enumerate(zip(one, other, strict=True)):
                yield from differing_paths(left, right, f"{path}[{i}]")
        case _:
            if one != other or type(one) is not type(other):
                yield path


def _leaf_paths(value: Json, path: str) -> Iterator[str]:
    if isinstance(value, dict) and value:
        for name, below in value.items():
            yield from _leaf_paths(below, f"{path}.{name}")
    else:
        yield path


def _translate_without(translator: Translator, call: Call, deployment: Deployment, name: str) -> UpstreamRequest | None:
    """The request without that field, or with another conversation; None where the provider does not take it so."""
    try:
        if name == call.operation.prompt_field:
            request = call.operation.with_other_prompt(call.request, call.id)
            return translator.build_request(replace(call, request=request), deployment)
        try:
            return translator.build_request(replace(call, request=call.request.without_fields((name,))), deployment)
        except InvalidRequest:
            together = (name, *call.operation.dependent_fields(name))
            return translator.build_request(replace(call, request=call.request.without_fields(together)), deployment)
    except InvalidRequest:
        return None


def _request_as_json(request: UpstreamRequest) -> JsonObject:
    headers = cast("Mapping[str, Json]", request.headers)
    return {"url": request.url, "headers": dict(headers), "body": decode(request.body)}


def _paths_of_model(model: str, sent: JsonObject) -> Iterator[str]:
    """Where the model's name stands."""
    url, body = sent["url"], sent["body"]
    if isinstance(url, str) and (quote(model, safe="/@-._~") in url or quote(model, safe="@-._~") in url):
        yield "url"
    if isinstance(body, dict):
        yield from (f"body.{name}" for name, value in body.items() if value == model)


def _body_fields(paths: Iterable[str]) -> list[str]:
    """The fields of the body, and no further: every path below follows from the messages."""
    return list(dict.fromkeys(".".join(path.split(".")[:2]).partition("[")[0] for path in paths))
