"""Which calls want what was answered before, and which calls are equal."""

import hashlib

from msgspec import Struct

from tidegate.domain.call import Call
from tidegate.domain.gateway_fields import CacheOptions
from tidegate.domain.operation import Request
from tidegate.json import Json, encode_canonical

TTL_SECONDS = 3600.0
"""How long a reply is kept where neither the call nor its workspace says."""

VERSION = 1
"""Of the key: what was kept under another one is not found."""

_NO_OPTIONS = CacheOptions()


class CachePolicy(Struct, frozen=True):
    """What a call wants of the cache: in seconds, how old a reply may be (None: any), and how long to keep its own."""

    reads: bool
    max_age_seconds: float | None
    ttl_seconds: float
    namespace: str | None


def cache_policy(call: Call) -> CachePolicy | None:
    """None where caching is not on for the call: by a field of its own, or else by its workspace."""
    fields, default = call.request.options, call.workspace.cache_ttl_seconds
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


def cache_key_of(request: Request, model: str, namespace: str | None, guardrails: str | None = None) -> str:
    """The digest that equal calls for `model` have in common, `guardrails` being the fingerprint of those that run.

    A workspace is no part of it: its replies are apart.
    """
    fields = {**request.cache_fields(), "model": model}
    names: list[Json] = [*sorted(set(request.options.guardrails or ()))]
    strict = bool(request.options.require_parameters)
    return hashlib.sha256(encode_canonical([VERSION, namespace, names, guardrails, strict, fields])).hexdigest()


def digest_of_idempotency_key(idempotency_key: str) -> str:
    """What the key is known by."""
    return hashlib.sha256(idempotency_key.encode()).hexdigest()


def digest_of_request(call: Call) -> str:
    """What two calls with one idempotency key must have in common: the surface, and the whole of the body."""
    return hashlib.sha256(encode_canonical([call.surface.name, call.request.body])).hexdigest()
