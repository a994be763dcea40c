"""Finds where each of the caller's fields goes in the request to a deployment, and which fields it rejects.

Translation is pure, so this is found by comparing the translations with and without a field.
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
"""The number of fields that are examined: each costs a translation. Only a request with unknown fields has more."""


def fields_sent_as(
    translator: Translator, call: Call, deployment: Deployment, request: UpstreamRequest
) -> dict[str, list[str]]:
    """Map each of the caller's fields to the paths in the upstream `request` that it sets ("body.top_p", "url").

    A field without paths asks for the default. The gateway's own fields, and fields without which the request cannot
    be translated, are omitted.
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
    """Map the path of each field that the provider cannot be sent to the reason."""
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
    """Yield the paths at which two values differ; lists of different lengths differ as a whole."""
    match one, other:
        case dict(), dict():
            for name in dict.fromkeys((*one, *other)):
                field_path = f"{path}.{name}" if path else name
                if name in one and name in other:
                    yield from differing_paths(one[name], other[name], field_path)
                else:
                    yield from _leaf_paths(one[name] if name in one else other[name], field_path)
        case list(), list() if len(one) == len(other):
            for i, (left, right) in enumerate(zip(one, other, strict=True)):
                yield from differing_paths(left, right, f"{path}[{i}]")
        case _:
            if one != other or type(one) is not type(other):
                yield path


def _leaf_paths(value: Json, path: str) -> Iterator[str]:
    if isinstance(value, dict) and value:
        for name, field_value in value.items():
            yield from _leaf_paths(field_value, f"{path}.{name}")
    else:
        yield path


def _translate_without(translator: Translator, call: Call, deployment: Deployment, name: str) -> UpstreamRequest | None:
    """Translate without that field, or with another prompt; None if that cannot be translated."""
    try:
        if name == call.operation.prompt_field:
            request = call.operation.with_other_prompt(call.request, call.id)
            return translator.build_request(replace(call, request=request), deployment)
        try:
            return translator.build_request(replace(call, request=call.request.without_fields((name,))), deployment)
        except InvalidRequest:
            names = (name, *call.operation.dependent_fields(name))
            return translator.build_request(replace(call, request=call.request.without_fields(names)), deployment)
    except InvalidRequest:
        return None


def _request_as_json(request: UpstreamRequest) -> JsonObject:
    headers = cast("Mapping[str, Json]", request.headers)
    return {"url": request.url, "headers": dict(headers), "body": decode(request.body)}


def _paths_of_model(model: str, sent: JsonObject) -> Iterator[str]:
    """Yield the paths that hold the model's name."""
    url, body = sent["url"], sent["body"]
    if isinstance(url, str) and (quote(model, safe="/@-._~") in url or quote(model, safe="@-._~") in url):
        yield "url"
    if isinstance(body, dict):
        yield from (f"body.{name}" for name, value in body.items() if value == model)


def _body_fields(paths: Iterable[str]) -> list[str]:
    """Shorten paths to the top fields of the body: all paths below them follow from the prompt."""
    return list(dict.fromkeys(".".join(path.split(".")[:2]).partition("[")[0] for path in paths))
