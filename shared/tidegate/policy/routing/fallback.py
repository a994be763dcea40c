"""Who is asked when a model does not answer: the caller's `fallbacks`, `models` and `context_window_fallback_dict`.

The shapes are those that LiteLLM's and OpenRouter's clients send: a list of names, of objects `{"model": …}` with
overrides, or of `{"a": ["b", "c"]}`, which holds for calls of model a only (and b's own list for b after it).

Sources: https://docs.litellm.ai/docs/proxy/reliability, https://openrouter.ai/docs/features/model-routing (2026).
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, cast

from msgspec import Struct
from msgspec.structs import replace

from tidegate.catalog import Catalog
from tidegate.domain.deployment import Resolution
from tidegate.domain.gateway_fields import GATEWAY_FIELDS, GatewayFields
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
from tidegate.policy.routing.router import Router

CERTAIN_PART = 0.5
"""A prompt is sure not to fit when that part of its estimate is too long. In the cases between, the provider tells.

Ten recorded prompts of text that are estimated at more than 2,000 tokens took 0.93 to 1.33 times the estimate.
"""

MAX_MODELS = 16
"""Models that one call may name: more is a mistake."""

_FIELDS_OF_CALL = GATEWAY_FIELDS | {"model", "stream", "stream_options"}
"""Fields that are settled once for the call, whoever answers."""


class Candidate(Struct, frozen=True):
    """One model that may answer. `path` is the field that named it; without a `plan`, it is routed at its turn."""

    path: str
    request: Request
    resolution: Resolution | None = None


class _NamedFallback(NamedTuple):
    path: str
    model: str
    overrides: Mapping[str, object]


def candidates(request: Request, router: Router, catalog: Catalog, workspace: Workspace) -> list[Candidate]:
    """The models to ask, in order; the first is the one that was asked for, or the bigger one that it maps to.

    Where the caller names none, those of the model's route. Raises `ModelNotFound` for the model itself, and
    `InvalidRequest` for a fallback that nobody serves, that is there already, or whose overrides are not valid.
    """
    fields = request.options
    if not (fields.fallbacks or fields.models or fields.context_window_fallback_dict):
        return _with_route_fallbacks(Candidate("model", request, router.resolve(request.model, workspace)))
    resolution = _resolve(router, request.model, "model", workspace)
    candidates_found = [Candidate("model", request, resolution)]
    _check_context_window_fallbacks(fields, router, workspace)
    for named in _named_fallbacks(request):
        known = {candidate.request.model for candidate in candidates_found}
        if named.model in known and not named.overrides:
            raise InvalidRequest(f"{named.model!r} is to be tried already: fallbacks must not loop.", param=named.path)
        if len(candidates_found) == MAX_MODELS:  # before anything is done for one more
            raise InvalidRequest(f"A call may name {MAX_MODELS} models at most.", param="fallbacks")
        fallback_targets = _resolve(router, named.model, named.path, workspace)
        candidates_found.append(Candidate(named.path, _with_overrides(request, named), fallback_targets))
    if len(candidates_found) == 1:
        candidates_found = _with_route_fallbacks(candidates_found[0])
    return _skip_too_small(candidates_found, router, catalog, workspace)


def remaining_candidates(error: TidegateError, failed: Candidate, remaining: Sequence[Candidate]) -> list[Candidate]:
    """Whom to ask after that failure; nobody where the caller is at fault, or may not ask for that model at all."""
    match error:
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
    """What the caller hears of several failures: the first, for that is of the model that was asked for.

    Unless a later one is more hopeful: then trying again is worth it.
    """
    if earlier is None:
        return error
    return error if _may_pass(error) and not _may_pass(earlier) else earlier


def context_window_fallback(request: Request) -> Candidate | None:
    """The model that the caller named for prompts that are too long for the request's."""
    model = (request.options.context_window_fallback_dict or {}).get(request.model)
    return Candidate(f"context_window_fallback_dict.{request.model}", request.with_model(model)) if model else None


def _may_pass(error: TidegateError) -> bool:
    return error.retryable and not isinstance(error, LimitReached | ModelNotAllowed | ModelUnpriced)


def _with_route_fallbacks(requested: Candidate) -> list[Candidate]:
    """The model, and what its route names instead, unless the caller wants nothing else."""
    route = requested.resolution.route if requested.resolution else None
    if route is None or requested.request.options.fallbacks is not None:
        return [requested]
    others = [model for model in route.fallbacks if model != route.name]
    return [requested, *(Candidate("route", requested.request.with_model(model)) for model in others)]


def _named_fallbacks(request: Request) -> Iterator[_NamedFallback]:
    """Everything in `fallbacks` and `models`."""
    fields = request.options
    lists: dict[str, list[_NamedFallback]] = {}
    for i, entry in enumerate(fields.fallbacks or ()):
        path = f"fallbacks[{i}]"
        match entry:
            case str(model):
                yield _NamedFallback(path, model, {})
            case {"model": str(model), **overrides} if model:
                yield _NamedFallback(path, model, overrides)
            case {"model": _}:
                raise InvalidRequest("A fallback's model must be a name.", param=f"{path}.model")
            case _ if not entry:
                raise InvalidRequest("A fallback is a name, or an object with a model.", param=path)
            case _:
                lists |= _fallbacks_by_model(path, entry)
    yield from _fallbacks_of(request.model, lists, (request.model,))
    for i, model in enumerate(fields.models or ()):
        if model != request.model or i:
            yield _NamedFallback(f"models[{i}]", model, {})


def _fallbacks_by_model(path: str, entry: Mapping[str, object]) -> dict[str, list[_NamedFallback]]:
    """The models by the one that they stand in for."""
    found: dict[str, list[_NamedFallback]] = {}
    for source, models in entry.items():
        names = cast("list[object]", models) if isinstance(models, list) else [None]
        for j, name in enumerate(names):
            if not isinstance(name, str) or not name:
                raise InvalidRequest("A model's fallbacks must be a list of names.", param=f"{path}.{source}")
            found.setdefault(source, []).append(_NamedFallback(f"{path}.{source}[{j}]", name, {}))
    return found


def _fallbacks_of(
    model: str, lists: Mapping[str, list[_NamedFallback]], above: tuple[str, ...]
) -> Iterator[_NamedFallback]:
    for named in lists.get(model, ()):
        if named.model in above:
            raise InvalidRequest(f"{named.model!r} would be its own fallback in the end.", param=named.path)
        yield named
        yield from _fallbacks_of(named.model, lists, (*above, named.model))


def _with_overrides(request: Request, named: _NamedFallback) -> Request:
    """The request with its overrides, validated anew: a fault is named within the fallback."""
    if not named.overrides:
        return request.with_model(named.model)
    settled = sorted(named.overrides.keys() & _FIELDS_OF_CALL)
    if settled:
        where = f"{named.path}.{settled[0]}"
        raise InvalidRequest(f"{settled[0]!r} holds for the whole call: a fallback cannot change it.", param=where)
    changed: dict[str, Json] = {**request.body, **cast("Mapping[str, Json]", named.overrides), "model": named.model}
    try:
        return request.with_body(changed)
    except InvalidRequest as error:
        raise InvalidRequest(error.message, param=f"{named.path}.{error.param or ''}".rstrip(".")) from None


def _check_context_window_fallbacks(fields: GatewayFields, router: Router, workspace: Workspace) -> None:
    bigger = fields.context_window_fallback_dict or {}
    for small, big in bigger.items():
        path, met = f"context_window_fallback_dict.{small}", [small]
        while big is not None and big not in met:
            met.append(big)
            big = bigger.get(big)
        if big is not None:
            raise InvalidRequest(f"{big!r} would be its own fallback in the end.", param=path)
        _resolve(router, bigger[small], path, workspace)


def _skip_too_small(
    candidates: list[Candidate], router: Router, catalog: Catalog, workspace: Workspace
) -> list[Candidate]:
    """The asked model is left out when a bigger one is named for it and the prompt is sure not to fit."""
    requested, bigger = candidates[0], context_window_fallback(candidates[0].request)
    needed = requested.request.estimate_prompt() * CERTAIN_PART if bigger else 0.0
    while bigger is not None and _is_too_small(requested.resolution, catalog, needed):
        requested = replace(bigger, resolution=_resolve(router, bigger.request.model, bigger.path, workspace))
        bigger = context_window_fallback(requested.request)
    if requested is candidates[0]:
        return candidates
    return [
        requested,
        *(candidate for candidate in candidates[1:] if candidate.request.model != requested.request.model),
    ]


def _is_too_small(resolution: Resolution | None, catalog: Catalog, needed: float) -> bool:
    model = catalog.find_model(resolution.deployments[0].model_id) if resolution else None
    return model is not None and model.context_window is not None and needed > model.context_window


def _resolve(router: Router, model: str, path: str, workspace: Workspace) -> Resolution | None:
    """The model's plan. One whose provider is not configured may be named: its turn may never come."""
    try:
        return router.resolve(model, workspace)
    except ModelNotFound as error:
        if path == "model":
            raise
        raise InvalidRequest(error.message, param=path) from None
    except NotConfigured:
        return None
