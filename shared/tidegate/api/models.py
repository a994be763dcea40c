"""The lists of models, and the health endpoints.

`?input=text,image&output=text` keeps the models that read and generate all of these.
"""

import time
from collections.abc import Callable
from datetime import date

from starlette.requests import Request
from starlette.responses import Response

from tidegate import __version__
from tidegate.api import errors, model_views, route_models
from tidegate.api.model_views import catalog_models
from tidegate.api.source import source_of
from tidegate.catalog import CatalogModel
from tidegate.domain.ids import ulid
from tidegate.domain.surface import Surface
from tidegate.domain.workspace import Principal, Workspace
from tidegate.errors import ModelNotFound
from tidegate.gateway import Gateway
from tidegate.json import encode
from tidegate.lazy import load
from tidegate.surfaces.late_dialects import MESSAGES
from tidegate.surfaces.neuroflash import NEUROFLASH
from tidegate.surfaces.openai import OPENAI
from tidegate.upstream.local_models import list_local_models

_ANTHROPIC, _CODEX = "tidegate.api.anthropic_models", "tidegate.api.codex_models"
_NEVER = date(1970, 1, 1)


async def list_models(request: Request) -> Response:
    """Answer with the list in OpenAI's format, or in Anthropic's or Codex's to clients that ask in their way."""
    gateway, _, workspace = await _authenticate(request, OPENAI)
    model_filter = _filter(request)
    is_codex = "client_version" in request.query_params
    if is_codex or errors.surface_of(request.url.path, request.headers) is MESSAGES:
        models = [
            *await _first_models(gateway, workspace),
            *catalog_models(gateway.catalog, _configured_providers(gateway)),
        ]
        accepted = [model for model in models if model_filter.accepts(model)]
        if is_codex:
            return _json(encode(load(_CODEX, "models_response")(accepted)))
        return _json(encode(load(_ANTHROPIC, "page")(accepted, request.query_params)))
    entries = await _first_entries(gateway, workspace, model_filter)
    configured = _configured_providers(gateway)
    return _json(model_views.openrouter_list(gateway.catalog, configured, model_filter, entries))


async def count_models(request: Request) -> Response:
    """Answer OpenRouter's `/models/count`."""
    gateway, _, workspace = await _authenticate(request, OPENAI)
    model_filter = _filter(request)
    count = model_views.count_models(gateway.catalog, _configured_providers(gateway), model_filter)
    entries = await _first_entries(gateway, workspace, model_filter)
    return _json(encode({"data": {"count": len(entries) + count}}))


async def show_model(request: Request) -> Response:
    """Answer with one model, in the format of `list_models`."""
    if errors.surface_of(request.url.path, request.headers) is MESSAGES:
        return _json(encode(await _find_model(request, load(_ANTHROPIC, "model_info"))))
    return _json(encode(await _find_model(request)))


async def show_openrouter_model(request: Request) -> Response:
    """Answer OpenRouter's `/model/{author}/{slug}`."""
    return _json(encode({"data": await _find_model(request)}))


async def list_public_models(request: Request) -> Response:
    """Answer Lunos's list, which needs no key and has no routes."""
    gateway: Gateway = request.state.gateway
    return _json(model_views.lunos_list(gateway.catalog, _configured_providers(gateway), _filter(request)))


async def list_selectable_models(request: Request) -> Response:
    gateway, _, workspace = await _authenticate(request, NEUROFLASH)
    routes = route_models.usable_routes(gateway.router, workspace)
    first = [route_models.selected_route_json(route, gateway.catalog) for route in routes]
    first += [model_views.selected_model_json(model) for model, _ in await _local_models(gateway)]
    return _json(model_views.neuroflash_list(gateway.catalog, _configured_providers(gateway), encode(first)))


async def show_health(request: Request) -> Response:
    return _json(encode({"status": "ok", "version": __version__}))


async def _authenticate(request: Request, surface: Surface) -> tuple[Gateway, Principal, Workspace]:
    gateway: Gateway = request.state.gateway
    principal, workspace = await gateway.authenticate(
        surface,
        surface.credential(dict(request.headers.raw)),
        request.headers.get("x-workspace-id"),
        source=source_of(request.scope),
    )
    return gateway, principal, workspace


async def _find_model(
    request: Request, describe: Callable[[CatalogModel], dict[str, object]] | None = None
) -> dict[str, object]:
    """Return the model in the format of `describe`; without it, in OpenAI's."""
    gateway, principal, workspace = await _authenticate(request, OPENAI)
    model_id: str = request.path_params["model_id"]
    resolution = gateway.router.resolve(model_id, workspace, principal.limits)
    if resolution.route is not None:
        route, catalog = resolution.route, gateway.catalog
        return (
            describe(route_models.model_of_route(route, catalog))
            if describe
            else route_models.route_json(route, catalog)
        )
    model = gateway.catalog.find_model(resolution.deployments[0].model_id)
    if model is None:
        raise ModelNotFound(f"The catalogue does not have {model_id!r}; calls to it may still work.", param="model")
    return (describe or model_views.model_json)(model)


def _filter(request: Request) -> model_views.ModelFilter:
    query = request.query_params
    return model_views.ModelFilter(
        model_views.modalities(query.getlist("input"), model_views.INPUTS, "input"),
        model_views.modalities(query.getlist("output"), model_views.OUTPUTS, "output"),
    )


async def _first_entries(
    gateway: Gateway, workspace: Workspace, model_filter: model_views.ModelFilter
) -> list[dict[str, object]]:
    """Return what the catalogue does not have: the workspace's routes, then the models of servers on this machine."""
    catalog, usable = gateway.catalog, route_models.usable_routes(gateway.router, workspace)
    routes = [route for route in usable if model_filter.accepts(route_models.model_of_route(route, catalog))]
    entries = [route_models.route_json(route, catalog) for route in routes]
    local = [(model, created) for model, created in await _local_models(gateway) if model_filter.accepts(model)]
    return entries + [{**model_views.model_json(model), "created": created} for model, created in local]


async def _first_models(gateway: Gateway, workspace: Workspace) -> list[CatalogModel]:
    """Return the entries of `_first_entries` as models."""
    catalog, routes = gateway.catalog, route_models.usable_routes(gateway.router, workspace)
    local = [model for model, _ in await _local_models(gateway)]
    return [*(route_models.model_of_route(route, catalog) for route in routes), *local]


async def _local_models(gateway: Gateway) -> list[tuple[CatalogModel, int]]:
    """Return the models of providers on this machine that the catalogue has no models of, and when each was made."""
    known = {model_id.partition("/")[0] for model_id in gateway.catalog.ids()}
    configs = [gateway.router.provider_configs[name] for name in _configured_providers(gateway) - known]
    return [
        (CatalogModel(f"{model.provider}/{model.name}", model.name, "", _NEVER), model.created)
        for model in await list_local_models(gateway.upstream, configs)
    ]


def _configured_providers(gateway: Gateway) -> frozenset[str]:
    return frozenset(name for name, config in gateway.router.provider_configs.items() if not config.missing_settings)


def _json(body: bytes) -> Response:
    return Response(body, media_type="application/json", headers={"x-request-id": ulid(time.time())})
