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
from tidegate.chat.estimate import estimate_prompt
from tidegate.chat.parse import build
from tidegate.chat.request import GATEWAY_FIELDS, ChatFields, ChatRequest
from tidegate.domain.deployment import Plan
from tidegate.domain.workspace import Workspace
from tidegate.errors import (
    ContextLengthExceeded,
    InvalidRequest,
    ModelNotAllowed,
    ModelNotFound,
    ModelUnpriced,
    NoRoom,
    NotConfigured,
    StoreUnavailable,
    TidegateError,
    UpstreamError,
)
from tidegate.json import Json
from tidegate.policy.routing.router import Router

CERTAIN = 0.5
"""A prompt is sure not to fit when that part of its estimate is too long. In the cases between, the provider tells.

Ten recorded prompts of text that are estimated at more than 2,000 tokens took 0.93 to 1.33 times the estimate.
"""

MOST = 16
"""Models that one call may name: more is a mistake."""

_OF_THE_REPLY = GATEWAY_FIELDS | {"model", "stream", "stream_options"}
"""Fields that are settled once for the call, whoever answers."""


class Candidate(Struct, frozen=True):
    """One model that may answer. `path` is the field that named it; without a `plan`, it is routed at its turn."""

    path: str
    request: ChatRequest
    plan: Plan | None = None


class _Named(NamedTuple):
    path: str
    model: str
    overrides: Mapping[str, object]


def candidates(request: ChatRequest, router: Router, catalog: Catalog, workspace: Workspace) -> list[Candidate]:
    """The models to ask, in order; the first is the one that was asked for, or the bigger one that it maps to.

    Where the caller names none, those of the model's route. Raises `ModelNotFound` for the model itself, and
    `InvalidRequest` for a fallback that nobody serves, that is there already, or whose overrides are not valid.
    """
    fields = request.fields
    if not (fields.fallbacks or fields.models or fields.context_window_fallback_dict):
        return _with_route(Candidate("model", request, router.plan(request.model, workspace)))
    plan = _plan(router, request.model, "model", workspace)
    listed = [Candidate("model", request, plan)]
    _check_bigger(fields, router, workspace)
    for named in _named(request):
        known = {candidate.request.model for candidate in listed}
        if named.model in known and not named.overrides:
            raise InvalidRequest(f"{named.model!r} is to be tried already: fallbacks must not loop.", param=named.path)
        if len(listed) == MOST:  # before anything is done for one more
            raise InvalidRequest(f"A call may name {MOST} models at most.", param="fallbacks")
        found = _plan(router, named.model, named.path, workspace)
        listed.append(Candidate(named.path, _changed(request, named), found))
    if len(listed) == 1:
        listed = _with_route(listed[0])
    return _fitting(listed, router, catalog, workspace)


def after(error: TidegateError, failed: Candidate, rest: Sequence[Candidate]) -> list[Candidate]:
    """Whom to ask after that failure; nobody where the caller is at fault, or may not ask for that model at all."""
    match error:
        case ContextLengthExceeded():
            bigger = bigger_than(failed.request)
            return list(rest) if bigger is None else [bigger, *rest]
        case UpstreamError() | NotConfigured() | NoRoom():
            return list(rest)
        case StoreUnavailable():
            return []
        case _:
            return [] if failed.path == "model" else list(rest)


def told(before: TidegateError | None, error: TidegateError) -> TidegateError:
    """What the caller hears of several failures: the first, for that is of the model that was asked for.

    Unless a later one is more hopeful: then trying again is worth it.
    """
    if before is None:
        return error
    return error if _is_hopeful(error) and not _is_hopeful(before) else before


def bigger_than(request: ChatRequest) -> Candidate | None:
    """The model that the caller named for prompts that are too long for the request's."""
    big = (request.fields.context_window_fallback_dict or {}).get(request.model)
    return Candidate(f"context_window_fallback_dict.{request.model}", request.asked_of(big)) if big else None


def _is_hopeful(error: TidegateError) -> bool:
    return error.retryable and not isinstance(error, NoRoom | ModelNotAllowed | ModelUnpriced)


def _with_route(asked: Candidate) -> list[Candidate]:
    """The model, and what its route names instead, unless the caller wants nothing else."""
    route = asked.plan.route if asked.plan else None
    if route is None or asked.request.fields.fallbacks is not None:
        return [asked]
    others = [model for model in route.fallbacks if model != route.name]
    return [asked, *(Candidate("route", asked.request.asked_of(model)) for model in others)]


def _named(request: ChatRequest) -> Iterator[_Named]:
    """Everything in `fallbacks` and `models`."""
    fields = request.fields
    lists: dict[str, list[_Named]] = {}
    for i, entry in enumerate(fields.fallbacks or ()):
        path = f"fallbacks[{i}]"
        match entry:
            case str(model):
                yield _Named(path, model, {})
            case {"model": str(model), **overrides} if model:
                yield _Named(path, model, overrides)
            case {"model": _}:
                raise InvalidRequest("A fallback's model must be a name.", param=f"{path}.model")
            case _ if not entry:
                raise InvalidRequest("A fallback is a name, or an object with a model.", param=path)
            case _:
                lists |= _lists(path, entry)
    yield from _mapped(fields.model, lists, (fields.model,))
    for i, model in enumerate(fields.models or ()):
        if model != fields.model or i:
            yield _Named(f"models[{i}]", model, {})


def _lists(path: str, entry: Mapping[str, object]) -> dict[str, list[_Named]]:
    """The models by the one that they stand in for."""
    found: dict[str, list[_Named]] = {}
    for source, models in entry.items():
        names = cast("list[object]", models) if isinstance(models, list) else [None]
        for j, name in enumerate(names):
            if not isinstance(name, str) or not name:
                raise InvalidRequest("A model's fallbacks must be a list of names.", param=f"{path}.{source}")
            found.setdefault(source, []).append(_Named(f"{path}.{source}[{j}]", name, {}))
    return found


def _mapped(model: str, lists: Mapping[str, list[_Named]], above: tuple[str, ...]) -> Iterator[_Named]:
    for named in lists.get(model, ()):
        if named.model in above:
            raise InvalidRequest(f"{named.model!r} would be its own fallback in the end.", param=named.path)
        yield named
        yield from _mapped(named.model, lists, (*above, named.model))


def _changed(request: ChatRequest, named: _Named) -> ChatRequest:
    """The request with its overrides, validated anew: a fault is named within the fallback."""
    if not named.overrides:
        return request.asked_of(named.model)
    settled = sorted(named.overrides.keys() & _OF_THE_REPLY)
    if settled:
        where = f"{named.path}.{settled[0]}"
        raise InvalidRequest(f"{settled[0]!r} holds for the whole call: a fallback cannot change it.", param=where)
    changed: dict[str, Json] = {**request.body, **cast("Mapping[str, Json]", named.overrides), "model": named.model}
    try:
        return build(changed, request.size)
    except InvalidRequest as error:
        raise InvalidRequest(error.message, param=f"{named.path}.{error.param or ''}".rstrip(".")) from None


def _check_bigger(fields: ChatFields, router: Router, workspace: Workspace) -> None:
    bigger = fields.context_window_fallback_dict or {}
    for small, big in bigger.items():
        path, met = f"context_window_fallback_dict.{small}", [small]
        while big is not None and big not in met:
            met.append(big)
            big = bigger.get(big)
        if big is not None:
            raise InvalidRequest(f"{big!r} would be its own fallback in the end.", param=path)
        _plan(router, bigger[small], path, workspace)


def _fitting(listed: list[Candidate], router: Router, catalog: Catalog, workspace: Workspace) -> list[Candidate]:
    """The asked model is left out when a bigger one is named for it and the prompt is sure not to fit."""
    asked, bigger = listed[0], bigger_than(listed[0].request)
    needed = estimate_prompt(asked.request.fields) * CERTAIN if bigger else 0.0
    while bigger is not None and _is_too_small(asked.plan, catalog, needed):
        asked = replace(bigger, plan=_plan(router, bigger.request.model, bigger.path, workspace))
        bigger = bigger_than(asked.request)
    if asked is listed[0]:
        return listed
    return [asked, *(candidate for candidate in listed[1:] if candidate.request.model != asked.request.model)]


def _is_too_small(plan: Plan | None, catalog: Catalog, needed: float) -> bool:
    model = catalog.find(plan.deployments[0].model_id) if plan else None
    return model is not None and model.context_window is not None and needed > model.context_window


def _plan(router: Router, model: str, path: str, workspace: Workspace) -> Plan | None:
    """The model's plan. One whose provider is not configured may be named: its turn may never come."""
    try:
        return router.plan(model, workspace)
    except ModelNotFound as error:
        if path == "model":
            raise
        raise InvalidRequest(error.message, param=path) from None
    except NotConfigured:
        return None
