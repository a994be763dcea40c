"""What becomes of a caller's fields at one deployment: which of them lead where, and which are refused.

Translation is pure, so that is found by translating with and without a field, and comparing.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import cast
from urllib.parse import quote

from msgspec import structs
from msgspec.structs import replace

from tidegate.chat.parse import build
from tidegate.chat.reasoning import unify
from tidegate.chat.request import GATEWAY_FIELDS, ChatFields, ChatRequest
from tidegate.domain.call import Call
from tidegate.domain.deployment import Deployment
from tidegate.errors import InvalidRequest
from tidegate.json import Json, JsonObject, decode
from tidegate.providers.base import Provider, UpstreamRequest

MOST = 64
"""Fields whose ways are told: each costs a translation. A request has fewer, but for those that nobody knows."""

_DEPENDENT = {
    "tools": ("tool_choice", "parallel_tool_calls"),
    "functions": ("function_call",),
    "stream": ("stream_options",),
    "logprobs": ("top_logprobs",),
}
"""What says nothing without the field, and is refused by some."""

_KNOWN = frozenset(ChatFields.__struct_fields__)


def mapped(provider: Provider, call: Call, deployment: Deployment, request: UpstreamRequest) -> dict[str, list[str]]:
    """By the caller's fields, the paths within the upstream `request` ("body.top_p", "url") that follow from them.

    No path: the field asks for what would happen without it. Left out are the gateway's own fields, and what the
    provider cannot be sent without.
    """
    whole, found = _seen(request), dict[str, list[str]]()
    for name, value in list(call.request.body.items())[:MOST]:
        if value is None or name in GATEWAY_FIELDS:
            continue
        if name == "model":
            found[name] = list(_named(deployment.model, whole))
            continue
        bare = _translated(provider, call, deployment, name)
        if bare is None:
            continue
        paths = list(differences(whole, _seen(bare)))
        found[name] = _tops(paths) if name == "messages" else paths
    return found


def refusals(provider: Provider, call: Call, deployment: Deployment) -> dict[str, str]:
    """What the provider is not to be asked for, by the paths of its fields, with the reasons."""
    found: dict[str, str] = {}
    while len(found) < MOST:
        try:
            provider.build_request(call, deployment)
        except InvalidRequest as error:
            path = error.param or "model"
            found.setdefault(path, error.message)
            name = path.partition(".")[0].partition("[")[0]
            if name in ("model", "messages") or name not in call.request.body:
                break
            call = replace(call, request=without(call.request, (name, *_DEPENDENT.get(name, ()))))
        else:
            break
    return found


def without(request: ChatRequest, names: Iterable[str]) -> ChatRequest:
    """The request as if it had come without those fields, which it can do without."""
    left_out = frozenset(names)
    fields = structs.replace(request.fields, **dict.fromkeys(left_out & _KNOWN))
    return replace(
        request,
        fields=fields,
        body={name: value for name, value in request.body.items() if name not in left_out},
        reasoning=unify(fields.reasoning_effort, fields.reasoning, fields.thinking),
    )


def differences(one: Json, other: Json, path: str = "") -> Iterator[str]:
    """The paths at which two values differ; lists of another length differ as a whole."""
    match one, other:
        case dict(), dict():
            for name in dict.fromkeys((*one, *other)):
                below = f"{path}.{name}" if path else name
                if name in one and name in other:
                    yield from differences(one[name], other[name], below)
                else:
                    yield from _leaves(one[name] if name in one else other[name], below)
        case list(), list() if len(one) == len(other):
            for i, (left, right) in enumerate(zip(one, other, strict=True)):
                yield from differences(left, right, f"{path}[{i}]")
        case _:
            if one != other or type(one) is not type(other):
                yield path


def _leaves(value: Json, path: str) -> Iterator[str]:
    if isinstance(value, dict) and value:
        for name, below in value.items():
            yield from _leaves(below, f"{path}.{name}")
    else:
        yield path


def _translated(provider: Provider, call: Call, deployment: Deployment, name: str) -> UpstreamRequest | None:
    """The request without that field, or with another conversation; None where the provider does not take it so."""
    try:
        if name == "messages":
            other: JsonObject = {"role": "user", "content": call.id}
            request = build({**call.request.body, name: [other]}, call.request.size)
            return provider.build_request(replace(call, request=request), deployment)
        try:
            return provider.build_request(replace(call, request=without(call.request, (name,))), deployment)
        except InvalidRequest:
            together = (name, *_DEPENDENT.get(name, ()))
            return provider.build_request(replace(call, request=without(call.request, together)), deployment)
    except InvalidRequest:
        return None


def _seen(request: UpstreamRequest) -> JsonObject:
    headers = cast("Mapping[str, Json]", request.headers)
    return {"url": request.url, "headers": dict(headers), "body": decode(request.body)}


def _named(model: str, whole: JsonObject) -> Iterator[str]:
    """Where the model's name stands."""
    url, body = whole["url"], whole["body"]
    if isinstance(url, str) and (quote(model, safe="/@-._~") in url or quote(model, safe="@-._~") in url):
        yield "url"
    if isinstance(body, dict):
        yield from (f"body.{name}" for name, value in body.items() if value == model)


def _tops(paths: Iterable[str]) -> list[str]:
    """The fields of the body, and no further: every path below follows from the messages."""
    return list(dict.fromkeys(".".join(path.split(".")[:2]).partition("[")[0] for path in paths))
