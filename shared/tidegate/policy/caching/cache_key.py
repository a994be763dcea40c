"""Which calls want what was answered before, and which calls are equal."""

import hashlib

from msgspec import Struct

from tidegate.chat.request import GATEWAY_FIELDS, CacheOptions, ChatRequest
from tidegate.domain.call import Call
from tidegate.json import Json, JsonObject, encode_canonical

TTL_SECONDS = 3600.0
"""How long a reply is kept where neither the call nor its workspace says."""

VERSION = 1
"""Of the key: what was kept under another one is not found."""

FIELDS_NOT_IN_KEY = GATEWAY_FIELDS | {
    *("model", "stream", "stream_options"),
    *("metadata", "prompt_cache_key", "prompt_cache_retention", "safety_identifier", "store", "user"),
    *("max_tokens", "max_completion_tokens"),
}
"""Fields that change nothing of what is said, and those that are in the key under one name for several."""

_DEFAULTS: dict[str, Json] = {"n": 1, "logprobs": False, "logit_bias": {}, "stop": [], "tools": [], "functions": []}
"""Values that every provider takes for none."""

_NO_OPTIONS = CacheOptions()


class CachePolicy(Struct, frozen=True):
    """What a call wants of the cache: in seconds, how old a reply may be (None: any), and how long to keep its own."""

    reads: bool
    max_age_seconds: float | None
    ttl_seconds: float
    namespace: str | None


def cache_policy(call: Call) -> CachePolicy | None:
    """None where caching is not on for the call: by a field of its own, or else by its workspace."""
    fields, default = call.request.fields, call.workspace.cache_ttl_seconds
    if fields.caching is False or not (fields.caching or fields.cache is not None or default is not None):
        return None
    options = fields.cache or _NO_OPTIONS
    default_ttl = TTL_SECONDS if default is None else float(default)
    return CachePolicy(
        reads=not options.no_cache and options.s_maxage != 0,
        max_age_seconds=options.s_maxage,
        ttl_seconds=0.0 if options.no_store else default_ttl if options.ttl is None else options.ttl,
        namespace=options.namespace,
    )


def cache_key_of(request: ChatRequest, model: str, namespace: str | None, guardrails: str | None = None) -> str:
    """The digest that equal calls for `model` have in common, `guardrails` being the fingerprint of those that run.

    A workspace is no part of it: its replies are apart.
    """
    body: JsonObject = {
        name: _normalise_number(value)
        for name, value in request.body.items()
        if value is not None and name not in FIELDS_NOT_IN_KEY and not (name in _DEFAULTS and value == _DEFAULTS[name])
    }
    body["model"] = model
    body["output_limit"] = request.output_limit
    names: list[Json] = [*sorted(set(request.fields.guardrails or ()))]
    strict = bool(request.fields.require_parameters)
    return hashlib.sha256(encode_canonical([VERSION, namespace, names, guardrails, strict, body])).hexdigest()


def digest_of_idempotency_key(idempotency_key: str) -> str:
    """What the key is known by."""
    return hashlib.sha256(idempotency_key.encode()).hexdigest()


def digest_of_request(call: Call) -> str:
    """What two calls with one idempotency key must have in common: the surface, and the whole of the body."""
    return hashlib.sha256(encode_canonical([call.surface, call.request.body])).hexdigest()


def _normalise_number(value: Json) -> Json:
    """1.0 as 1: clients write either."""
    return int(value) if isinstance(value, float) and value.is_integer() else value
