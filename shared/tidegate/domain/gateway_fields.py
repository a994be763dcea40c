"""The fields of a request that are the gateway's own and never reach a provider, for every operation.

Sources: the documents of the gateways whose clients Tidegate serves (OpenRouter, vLLM, LiteLLM's proxy fields; 2026).
"""

from typing import Annotated

from msgspec import Meta, Struct

Name = Annotated[str, Meta(min_length=1, max_length=256)]
ShortList = Meta(max_length=64)
"""More than anybody writes by hand. What is longer would only keep the gateway from its other calls."""

MAX_CACHE_TTL_SECONDS = 30 * 86_400
"""The longest that a reply is kept. The bucket's lifecycle rule follows it."""


class CacheOptions(
    Struct, frozen=True, rename={"s_maxage": "s-maxage", "no_cache": "no-cache", "no_store": "no-store"}
):
    """LiteLLM's object, in seconds: how long to keep the reply, and how old one may be that is taken for it.

    Source: https://docs.litellm.ai/docs/proxy/caching_controls (2026-10); `no-cache` and `no-store` as its code has
    them: do not look one up, do not keep it.
    """

    ttl: Annotated[float, Meta(ge=0, le=MAX_CACHE_TTL_SECONDS)] | None = None
    s_maxage: Annotated[float, Meta(ge=0)] | None = None
    no_cache: bool | None = None
    no_store: bool | None = None
    namespace: Name | None = None


CACHE_OPTIONS = frozenset(CacheOptions.__struct_encode_fields__)


class GatewayFields(Struct, frozen=True, kw_only=True):
    """The base of every operation's fields. Null means absent."""

    observability: bool | None = None
    guardrails: Annotated[list[Name], ShortList] | None = None
    caching: bool | None = None
    cache: CacheOptions | None = None
    num_retries: Annotated[int, Meta(ge=0, le=5)] | None = None
    fallbacks: Annotated[list[Name | dict[str, object]], ShortList] | None = None
    models: Annotated[list[Name], Meta(max_length=16)] | None = None
    context_window_fallback_dict: Annotated[dict[str, Name], ShortList] | None = None
    require_parameters: bool | None = None
    timeout: Annotated[float, Meta(gt=0)] | None = None
    dry_run: bool | None = None


GATEWAY_FIELDS = frozenset(GatewayFields.__struct_fields__)
"""Fields that never reach a provider."""

IGNORED_GATEWAY_FIELDS = frozenset({"observability"})
"""Gateway fields that are validated and reported as ignored."""
