"""The fields of a request that are the gateway's own and never reach a provider, for every operation.

Sources: the documents of the gateways whose clients Tidegate serves (OpenRouter, vLLM, LiteLLM's proxy fields; 2026).
"""

from typing import Annotated

from msgspec import Meta, Struct

Name = Annotated[str, Meta(min_length=1, max_length=256)]
ShortList = Meta(max_length=64)
"""More entries than people write by hand. To check longer lists would delay the other calls of the process."""

MAX_CACHE_TTL_SECONDS = 30 * 86_400
"""The longest time that a reply is stored. The lifecycle rule of the reply bucket must not be shorter."""


class CacheOptions(
    Struct, frozen=True, rename={"s_maxage": "s-maxage", "no_cache": "no-cache", "no_store": "no-store"}
):
    """LiteLLM's object: `ttl`, how long to store the reply, and `s-maxage`, how old a stored reply may be; in seconds.

    Source: https://docs.litellm.ai/docs/proxy/caching_controls (2026-10). `no-cache` (do not read a stored
    reply) and `no-store` (do not store this one) mean what LiteLLM's code does.
    """

    ttl: Annotated[float, Meta(ge=0, le=MAX_CACHE_TTL_SECONDS)] | None = None
    s_maxage: Annotated[float, Meta(ge=0)] | None = None
    no_cache: bool | None = None
    no_store: bool | None = None
    namespace: Name | None = None


class UsageOptions(Struct, frozen=True):
    """OpenRouter's object. Source: https://openrouter.ai/docs/use-cases/usage-accounting (2026-11)."""

    include: bool | None = None


CACHE_OPTIONS = frozenset(CacheOptions.__struct_encode_fields__)


class GatewayFields(Struct, frozen=True, kw_only=True):
    """Fields for the gateway alone, which never reach a provider; null means absent.

    `local/openapi_headers.py` publishes the docstring of each field.
    """

    observability: bool | None = None
    """true keeps the call's content as a trace, false keeps none: docs/OBSERVABILITY.md"""
    guardrails: Annotated[list[Name], ShortList] | None = None
    """Names of guardrails to run in addition to those that always run: docs/GUARDRAILS.md"""
    caching: bool | None = None
    """true returns the stored reply of an equal call, or stores this one; false does neither: docs/CACHE.md"""
    cache: CacheOptions | None = None
    """How to cache; times in seconds: docs/CACHE.md"""
    num_retries: Annotated[int, Meta(ge=0, le=5)] | None = None
    """How often one model is retried, 2 by default: docs/RELIABILITY.md"""
    fallbacks: Annotated[list[Name | dict[str, object]], ShortList] | None = None
    """Models to fall back to: names, objects with a model and other fields, or lists by the failed model"""
    models: Annotated[list[Name], Meta(max_length=16)] | None = None
    """Models to try in this order; the form of OpenRouter's clients"""
    context_window_fallback_dict: Annotated[dict[str, Name], ShortList] | None = None
    """By model: the model to use if the prompt exceeds its context window"""
    require_parameters: bool | None = None
    """Refuse unsupported fields instead of naming them in x-tidegate-ignored-params"""
    timeout: Annotated[float, Meta(gt=0)] | None = None
    """Seconds that the call may take, all attempts included: docs/DEADLINES.md"""
    usage: UsageOptions | None = None
    """{"include": true} ends a stream with its usage, like stream_options.include_usage; OpenRouter's form"""
    dry_run: bool | None = None
    """Report what the call would do, without calling a provider: docs/RELIABILITY.md"""

    @property
    def asks_for_cache(self) -> bool:
        """True if the caller says how to use the cache, in either form, other than by `caching: false`."""
        return bool(self.caching) or self.cache is not None


GATEWAY_FIELDS = frozenset(GatewayFields.__struct_fields__)
