"""Finds where each of the caller's fields goes in the request to a deployment, and which fields it rejects.

Translation is pure, so this is found by comparing the translations with and without a field. A short prompt stands in
for the caller's meanwhile: what a field sets does not depend on the prompt, but the time of a translation does.
"""

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import cast
from urllib.parse import quote

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from tidegate.domain.call import Call
from tidegate.domain.deployment import Deployment
from tidegate.domain.gateway_fields import GATEWAY_FIELDS
from tidegate.errors import InvalidRequest
from tidegate.json import Json, JsonObject, decode, encode
from tidegate.providers.base import Translator, UpstreamRequest

MAX_FIELDS, MAX_PATHS = 64, 64
"""How many fields are examined for one deployment, and how many paths of each are listed. Only requests with unknown
fields have more."""

MAX_BYTES = 256 * 1024
"""How many bytes one dry run translates to examine fields, all deployments together: up to 60 ms (2026-11)."""

_NAME_CHARACTERS = 64
"""The part of a field's name that a path shows: paths of long names take long to build."""

_body_decoder = msgspec.json.Decoder(dict[str, msgspec.Raw])


class FieldMap(Struct, frozen=True):
    """For each of the caller's fields, the paths in the upstream request that it sets; and what was not examined."""

    paths: dict[str, list[str]]
    unexamined: list[str]


class FieldExaminer(Struct):
    """Examines fields as long as it may translate more bytes: one for each dry run."""

    bytes_left: int = MAX_BYTES

    def fields_sent_as(
        self, translator: Translator, call: Call, deployment: Deployment, request: UpstreamRequest
    ) -> FieldMap:
        """Map each of the caller's fields to the paths in the upstream `request` that it sets ("body.top_p", "url").

        A field without paths asks for the default. The gateway's own fields, and fields without which the request
        cannot be translated, are omitted.
        """
        body, prompt_field = call.request.body, call.operation.prompt_field
        own = GATEWAY_FIELDS | {"model", prompt_field}
        names = [name for name, value in body.items() if value is not None and name not in own]
        found = FieldMap({"model": list(_paths_of_model(deployment.model, request))}, [])
        if not self._may_translate(len(encode({name: value for name, value in body.items() if name != prompt_field}))):
            found.unexamined.extend((prompt_field, *names))
            return found
        short_call = replace(call, request=call.operation.with_other_prompt(call.request, call.id))
        short = _translate(translator, short_call, deployment)
        if short is None:
            self._examine(found, names, translator, call, deployment, request)
        else:
            found.paths[prompt_field] = list(_differing_fields(request, short))
            self._examine(found, names, translator, short_call, deployment, short)
        return found

    def _examine(
        self,
        found: FieldMap,
        names: list[str],
        translator: Translator,
        call: Call,
        deployment: Deployment,
        request: UpstreamRequest,
    ) -> None:
        """Add to `found` what each of the fields sets in the `request` to which the call is translated."""
        request_json: JsonObject | None = None
        for name in names:
            if len(found.paths) >= MAX_FIELDS or not self._may_translate(len(request.body)):
                found.unexamined.append(name)
                continue
            request_json = request_json or _request_as_json(request)
            other = _translate_without(translator, call, deployment, name)
            if other is not None:
                paths = differing_paths(request_json, _request_as_json(other))
                found.paths[name] = list(islice(paths, MAX_PATHS))

    def _may_translate(self, size: int) -> bool:
        """Spend `size` of the bytes that are left; False if they are not enough."""
        if size > self.bytes_left:
            return False
        self.bytes_left -= size
        return True

    def rejected_fields(self, translator: Translator, call: Call, deployment: Deployment) -> dict[str, str]:
        """Map the path of each field that the provider cannot be sent to the reason."""
        reasons: dict[str, str] = {}
        while not reasons or (len(reasons) < MAX_FIELDS and call.request.size < self.bytes_left):
            self.bytes_left -= call.request.size
            try:
                translator.build_request(call, deployment)
            except InvalidRequest as error:
                path = error.param or "model"
                reasons.setdefault(path, error.message)
                name = path.partition(".")[0].partition("[")[0]
                if name in ("model", call.operation.prompt_field) or name not in call.request.body:
                    break
                names = (name, *call.operation.dependent_fields(name))
                call = replace(call, request=call.request.without_fields(names))
            else:
                break
        return reasons


def differing_paths(one: Json, other: Json, path: str = "") -> Iterator[str]:
    """Yield the paths at which two values differ; lists of different lengths differ as a whole."""
    match one, other:
        case dict(), dict():
            for name in dict.fromkeys((*one, *other)):
                field_path = f"{path}.{name[:_NAME_CHARACTERS]}" if path else name
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
            yield from _leaf_paths(field_value, f"{path}.{name[:_NAME_CHARACTERS]}")
    else:
        yield path


def _translate_without(translator: Translator, call: Call, deployment: Deployment, name: str) -> UpstreamRequest | None:
    """Translate without that field, and if needed without those that depend on it; None if that is impossible."""
    for names in ((name,), (name, *call.operation.dependent_fields(name))):
        changed = replace(call, request=call.request.without_fields(names))
        request = _translate(translator, changed, deployment)
        if request is not None:
            return request
    return None


def _translate(translator: Translator, call: Call, deployment: Deployment) -> UpstreamRequest | None:
    try:
        return translator.build_request(call, deployment)
    except InvalidRequest:
        return None


def _request_as_json(request: UpstreamRequest) -> JsonObject:
    headers = cast("Mapping[str, Json]", request.headers)
    return {"url": request.url, "headers": dict(headers), "body": decode(request.body)}


def _paths_of_model(model: str, request: UpstreamRequest) -> Iterator[str]:
    """Yield the paths that hold the model's name."""
    url, written = request.url, encode(model)
    if quote(model, safe="/@-._~") in url or quote(model, safe="@-._~") in url:
        yield "url"
    yield from (f"body.{name}" for name, value in _body_decoder.decode(request.body).items() if bytes(value) == written)


def _differing_fields(request: UpstreamRequest, other: UpstreamRequest) -> Iterator[str]:
    """Yield the top fields of the body, and the headers, at which two requests differ; "url" for different URLs."""
    if request.url != other.url:
        yield "url"
    headers = dict.fromkeys((*request.headers, *other.headers))
    yield from (f"headers.{name}" for name in headers if request.headers.get(name) != other.headers.get(name))
    body, other_body = _body_decoder.decode(request.body), _body_decoder.decode(other.body)
    fields = dict.fromkeys((*body, *other_body))
    yield from (f"body.{name}" for name in fields if body.get(name) != other_body.get(name))
