"""A call's caching options, and the digests by which equal calls are found."""

import hashlib
from functools import lru_cache

from msgspec import Struct

from tidegate.domain.call import Call
from tidegate.domain.gateway_fields import CacheOptions
from tidegate.domain.operation import Request
from tidegate.json import Json, encode_canonical

TTL_SECONDS = 3600.0
"""How long a reply is stored when neither the call nor its workspace says."""

VERSION = 1
"""Version of the key. After a change, replies stored under the old version are not found."""

_NO_OPTIONS = CacheOptions()


class CachePolicy(Struct, frozen=True):
    """How a call uses the cache. `max_age_seconds` None accepts a reply of any age; `ttl_seconds` 0 stores nothing."""

    reads: bool
    max_age_seconds: float | None
    ttl_seconds: float
    namespace: str | None


def cache_policy(call: Call) -> CachePolicy | None:
    """Return the call's cache policy, None unless the call itself or its workspace turns caching on."""
    request, default = call.request, call.workspace.cache_ttl_seconds
    if request.is_plain:
        return None if default is None else _workspace_policy(float(default))
    fields = request.options
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


@lru_cache(maxsize=256)
def _workspace_policy(ttl_seconds: float) -> CachePolicy:
    """Return the policy of all calls that say nothing themselves."""
    return CachePolicy(reads=True, max_age_seconds=None, ttl_seconds=ttl_seconds, namespace=None)


def cache_key_of(request: Request, model: str, namespace: str | None, guardrails: str | None = None) -> str:
    """Return the digest that equal calls for `model` share. `guardrails` is the fingerprint of those that run.

    The workspace is not part of it, because the store keeps the replies of each workspace apart.
    """
    fields = request.cache_fields()
    fields["model"] = model
    names: list[Json] = []
    strict = False
    if not request.is_plain:
        options = request.options
        names = [*sorted(set(options.guardrails))] if options.guardrails else []
        strict = bool(options.require_parameters)
    return hashlib.sha256(encode_canonical([VERSION, namespace, names, guardrails, strict, fields])).hexdigest()


def digest_of_idempotency_key(idempotency_key: str) -> str:
    """Return the digest under which the key's reply is stored."""
    return hashlib.sha256(idempotency_key.encode()).hexdigest()


def digest_of_request(call: Call) -> str:
    """Return the digest that two calls with one idempotency key must share: of the surface and the whole body."""
    origin = call.request.origin
    body = call.request.body if origin is None or origin.body is None else origin.body
    return hashlib.sha256(encode_canonical([call.surface.name, body])).hexdigest()
