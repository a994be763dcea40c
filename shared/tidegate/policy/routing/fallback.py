"""The models to try when one does not answer: `fallbacks`, `models` and `context_window_fallback_dict` of the request.

LiteLLM's and OpenRouter's clients send these forms: a list of names, of objects `{"model": …}` with overrides, or of
`{"a": ["b", "c"]}`, which holds if model a is requested. If b has an entry of its own, its fallbacks come before c.

Sources: https://docs.litellm.ai/docs/proxy/reliability, https://openrouter.ai/docs/features/model-routing (2026).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import NamedTuple, TypeAlias, cast

from msgspec import Struct
from msgspec.structs import replace

from tidegate.catalog import Catalog
from tidegate.chat.request import ChatRequest
from tidegate.domain.deployment import Resolution
from tidegate.domain.gateway_fields import GATEWAY_FIELDS, GatewayFields
from tidegate.domain.limits import NO_LIMITS, Limits
from tidegate.domain.operation import Request
from tidegate.domain.workspace import Workspace
from tidegate.errors import (
    ContextLengthExceeded,
    InvalidRequest,
    LimitReached,
    ModelNotAllowed,
    ModelNotFound,
    ModelUnpriced,
    NotConfigured,
    StoreUnavailable,
    TidegateError,
    UpstreamError,
)
from tidegate.json import Json
from tidegate.policy.routing.retry import cannot_read_reasoning
from tidegate.policy.routing.router import Router

CERTAIN_PART = 0.5
"""A model is skipped if this part of the estimated prompt exceeds its context window; else the provider decides.

Ten recorded text prompts with an estimate above 2,000 tokens took 0.93 to 1.33 times the estimate.
"""

MAX_MODELS, MAX_MODELS_OF_LONG = 16, 4
MAX_TRANSLATED_BYTES = 512 * 1024
"""How many models one call may name: the body is translated for each, which takes up to 0.17 ms for a kilobyte of tiny
messages (2026-11). So together they translate at most `MAX_TRANSLATED_BYTES`, but may be `MAX_MODELS_OF_LONG`."""

_MAX_SOURCES = 64
"""For how many models one entry of `fallbacks` may have lists; as many as `fallbacks` may have entries."""

_FIELDS_OF_CALL = GATEWAY_FIELDS | {"model", "stream", "stream_options"}
"""Fields that hold for the whole call, whichever model answers."""


class Candidate(Struct, frozen=True):
    """A model that may answer. `path` is the field that named it; without `resolution` it is resolved when tried."""

    path: str
    request: Request
    resolution: Resolution | None = None


_Resolve: TypeAlias = Callable[[str, str], Resolution | None]
"""Resolves a model that is named at a path of the request."""


class _NamedFallback(NamedTuple):
    path: str
    model: str
    overrides: Mapping[str, object]


def candidates(
    request: Request, router: Router, catalog: Catalog, workspace: Workspace, key_limits: Limits = NO_LIMITS
) -> list[Candidate]:
    """Return the models to try, in order: the requested one, or its context window fallback, then the fallbacks.

    If the caller names no fallbacks, those of the model's route are used. Raises `ModelNotFound` for the requested
    model, and `InvalidRequest` for a fallback that does not exist, is listed twice, or has invalid overrides.
    """
    fields = request.options
    if not names_other_models(fields):
        return _with_route_fallbacks(Candidate("model", request, router.resolve(request.model, workspace, key_limits)))
    resolve = partial(_resolve, router, workspace, key_limits)
    resolution = resolve(request.model, "model")
    found = [Candidate("model", request, resolution)]
    _check_context_window_fallbacks(fields, resolve)
    for named in _named_fallbacks(request):
        known = {candidate.request.model for candidate in found}
        if named.model in known and not named.overrides:
            raise InvalidRequest(f"{named.model!r} is already in the list of models to try.", param=named.path)
        if len(found) == max_models(request.sent_bytes):  # before the work for one more
            raise _too_many_models(request.sent_bytes)
        fallback_resolution = resolve(named.model, named.path)
        found.append(Candidate(named.path, _with_overrides(request, named), fallback_resolution))
    if len(found) == 1:
        found = _with_route_fallbacks(found[0])
    return _skip_too_small(found, resolve, catalog)


def names_other_models(fields: GatewayFields) -> bool:
    """True if the caller names models in addition to the requested one."""
    return bool(fields.fallbacks or fields.models or fields.context_window_fallback_dict)


def remaining_candidates(error: TidegateError, failed: Candidate, remaining: Sequence[Candidate]) -> list[Candidate]:
    """Return the models to try next: none if the store is down, or the requested model failed by the caller's fault.

    If no deployment could read the reasoning in the request, the model comes again without that.
    """
    match error:
        case UpstreamError() if cannot_read_reasoning(error):
            bare = without_sealed_reasoning(failed.request)
            return [*([replace(failed, request=bare)] if bare else ()), *remaining]
        case ContextLengthExceeded():
            bigger = context_window_fallback(failed.request)
            return list(remaining) if bigger is None else [bigger, *remaining]
        case UpstreamError() | NotConfigured() | LimitReached():
            return list(remaining)
        case StoreUnavailable():
            return []
        case _:
            return [] if failed.path == "model" else list(remaining)


def best_error(earlier: TidegateError | None, error: TidegateError) -> TidegateError:
    """Choose the error for the caller: the earlier one, unless a retry may help with `error` but not with it."""
    if earlier is None:
        return error
    return error if _may_pass(error) and not _may_pass(earlier) else earlier


def context_window_fallback(request: Request) -> Candidate | None:
    """Return the model that the caller named for prompts that are too long for this one; None without one."""
    model = (request.options.context_window_fallback_dict or {}).get(request.model)
    return Candidate(f"context_window_fallback_dict.{request.model}", request.with_model(model)) if model else None


def without_sealed_reasoning(request: Request) -> Request | None:
    """Return the request without reasoning that one account alone can read, and name that; None if it has none."""
    origin = request.origin
    if origin is None or origin.body is None or origin.drop_sealed_reasoning is None:
        return None
    body, paths = origin.drop_sealed_reasoning(origin.body)
    if not paths:
        return None
    ignored = (*request.ignored, *paths)
    return replace(cast(ChatRequest, request), origin=replace(origin, body=body), ignored=ignored)


def _may_pass(error: TidegateError) -> bool:
    return error.retryable and not isinstance(error, LimitReached | ModelNotAllowed | ModelUnpriced)


def _with_route_fallbacks(requested: Candidate) -> list[Candidate]:
    """Add the fallbacks of the model's route, unless the caller sets `fallbacks`."""
    route = requested.resolution.route if requested.resolution else None
    if route is None or requested.request.options.fallbacks is not None:
        return [requested]
    others = [model for model in route.fallbacks if model != route.name]
    return [requested, *(Candidate("route", requested.request.with_model(model)) for model in others)]


def _named_fallbacks(request: Request) -> Iterator[_NamedFallback]:
    """Yield every fallback of `fallbacks` and `models`, in order."""
    fields = request.options
    by_model: dict[str, list[_NamedFallback]] = {}
    for i, entry in enumerate(fields.fallbacks or ()):
        path = f"fallbacks[{i}]"
        match entry:
            case str(model):
                yield _NamedFallback(path, model, {})
            case {"model": str(model), **overrides} if model:
                yield _NamedFallback(path, model, overrides)
            case {"model": _}:
                raise InvalidRequest("The model of a fallback must be a name.", param=f"{path}.model")
            case _ if not entry:
                raise InvalidRequest("A fallback must be a model's name, or an object with a model.", param=path)
            case _:
                by_model |= _fallbacks_by_model(path, entry)
    yield from _fallbacks_of(request.model, by_model, (request.model,))
    for i, model in enumerate(fields.models or ()):
        if model != request.model or i:
            yield _NamedFallback(f"models[{i}]", model, {})


def _fallbacks_by_model(path: str, entry: Mapping[str, object]) -> dict[str, list[_NamedFallback]]:
    """Return the fallbacks by the model that they replace."""
    found: dict[str, list[_NamedFallback]] = {}
    if len(entry) > _MAX_SOURCES:
        message = f"A fallback must not have lists for more than {_MAX_SOURCES} models."
        raise InvalidRequest(message, param=path)
    for source, models in entry.items():
        names = cast("list[object]", models) if isinstance(models, list) else [None]
        if len(names) >= MAX_MODELS:
            raise _too_many_models()
        for j, name in enumerate(names):
            if not isinstance(name, str) or not name:
                raise InvalidRequest("The fallbacks of a model must be a list of names.", param=f"{path}.{source}")
            found.setdefault(source, []).append(_NamedFallback(f"{path}.{source}[{j}]", name, {}))
    return found


def max_models(size: int) -> int:
    """Return how many models a call may name whose body has `size` bytes."""
    return max(MAX_MODELS_OF_LONG, min(MAX_MODELS, MAX_TRANSLATED_BYTES // max(1, size)))


def _too_many_models(size: int = 0) -> InvalidRequest:
    of_size = f" with a body of {size:,} bytes" if max_models(size) < MAX_MODELS else ""
    return InvalidRequest(f"A call{of_size} may name at most {max_models(size)} models.", param="fallbacks")


def _fallbacks_of(
    model: str, by_model: Mapping[str, list[_NamedFallback]], ancestors: tuple[str, ...]
) -> Iterator[_NamedFallback]:
    for named in by_model.get(model, ()):
        if named.model in ancestors:
            raise InvalidRequest(f"{named.model!r} is its own fallback: the fallbacks form a loop.", param=named.path)
        yield named
        yield from _fallbacks_of(named.model, by_model, (*ancestors, named.model))


def _with_overrides(request: Request, named: _NamedFallback) -> Request:
    """Apply the overrides and validate the request again; errors name the field within the fallback."""
    if not named.overrides:
        return request.with_model(named.model)
    fixed = sorted(named.overrides.keys() & _FIELDS_OF_CALL)
    if fixed:
        where = f"{named.path}.{fixed[0]}"
        raise InvalidRequest(f"A fallback cannot change {fixed[0]!r}, which holds for the whole call.", param=where)
    changed: dict[str, Json] = {**request.body, **cast("Mapping[str, Json]", named.overrides), "model": named.model}
    try:
        return request.with_body(changed)
    except InvalidRequest as error:
        raise InvalidRequest(error.message, param=f"{named.path}.{error.param or ''}".rstrip(".")) from None


def _check_context_window_fallbacks(fields: GatewayFields, resolve: _Resolve) -> None:
    fallbacks = fields.context_window_fallback_dict or {}
    for source, model in fallbacks.items():
        path, visited = f"context_window_fallback_dict.{source}", [source]
        while model is not None and model not in visited:
            visited.append(model)
            model = fallbacks.get(model)
        if model is not None:
            raise InvalidRequest(f"{model!r} is its own fallback: the fallbacks form a loop.", param=path)
        resolve(fallbacks[source], path)


def _skip_too_small(found: list[Candidate], resolve: _Resolve, catalog: Catalog) -> list[Candidate]:
    """Replace the requested model by its context window fallback if the prompt certainly does not fit."""
    requested, bigger = found[0], context_window_fallback(found[0].request)
    needed = requested.request.estimate_prompt() * CERTAIN_PART if bigger else 0.0
    while bigger is not None and _is_too_small(requested.resolution, catalog, needed):
        requested = replace(bigger, resolution=resolve(bigger.request.model, bigger.path))
        bigger = context_window_fallback(requested.request)
    if requested is found[0]:
        return found
    model = requested.request.model
    return [requested, *(candidate for candidate in found[1:] if candidate.request.model != model)]


def _is_too_small(resolution: Resolution | None, catalog: Catalog, needed: float) -> bool:
    model = catalog.find_model(resolution.deployments[0].model_id) if resolution else None
    return model is not None and model.context_window is not None and needed > model.context_window


def _resolve(router: Router, workspace: Workspace, key_limits: Limits, model: str, path: str) -> Resolution | None:
    """Resolve the model. None for a provider that is not configured, which is an error only when it is tried."""
    try:
        return router.resolve(model, workspace, key_limits)
    except ModelNotFound as error:
        if path == "model":
            raise
        raise InvalidRequest(error.message, param=path) from None
    except NotConfigured:
        return None
