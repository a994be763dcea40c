"""The lists of models, and the health endpoints.

`?input=text,image&output=text` keeps the models that take and give all of these.
"""

import time

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from tidegate import __version__
from tidegate.api import model_views, route_models
from tidegate.api.source import source_of
from tidegate.domain.call import Surface
from tidegate.domain.ids import ulid
from tidegate.domain.workspace import Workspace
from tidegate.errors import ModelNotFound
from tidegate.gateway import Gateway
from tidegate.json import encode


def routes() -> list[BaseRoute]:
    return [
        Route("/v1/models", _list, methods=["GET"]),
        Route("/v1/models/{model_id:path}", _one, methods=["GET"]),
        Route("/public/models", _public, methods=["GET"]),
        Route("/api/ds-prototypes/model_selection/models", _selection, methods=["GET"]),
        Route("/health", _health, methods=["GET"]),
        Route("/api/ds-prototypes/health", _health, methods=["GET"]),
    ]


async def _list(request: Request) -> Response:
    gateway, workspace = await _admitted(request, "openai")
    return _models(request, gateway, workspace)


async def _one(request: Request) -> Response:
    gateway, workspace = await _admitted(request, "openai")
    model_id: str = request.path_params["model_id"]
    plan = gateway.router.plan(model_id, workspace)
    if plan.route is not None:
        return _json(encode(route_models.route_wire(plan.route, gateway.catalog)))
    model = gateway.catalog.find(plan.deployments[0].model_id)
    if model is None:
        raise ModelNotFound(f"The catalogue does not know {model_id!r}; a call may pass all the same.", param="model")
    return _json(encode(model_views.wire(model)))


async def _public(request: Request) -> Response:
    return _models(request, request.state.gateway)


async def _selection(request: Request) -> Response:
    gateway, workspace = await _admitted(request, "neuroflash")
    routes = route_models.usable(gateway.router, workspace)
    first = [route_models.route_selected(route, gateway.catalog) for route in routes]
    return _json(model_views.selection(gateway.catalog, _ready(gateway), encode(first)))


async def _health(request: Request) -> Response:
    return _json(encode({"status": "ok", "version": __version__}))


async def _admitted(request: Request, surface: Surface) -> tuple[Gateway, Workspace]:
    gateway: Gateway = request.state.gateway
    _, workspace = await gateway.authenticator.authenticate(
        request.headers.get("authorization"),
        request.headers.get("x-workspace-id"),
        required_workspace=surface == "neuroflash",
        source=source_of(request.scope),
    )
    return gateway, workspace


def _models(request: Request, gateway: Gateway, workspace: Workspace | None = None) -> Response:
    """Routes are the callers' alone: who has no key is not told of them."""
    query = request.query_params
    wanted = model_views.Filter(
        model_views.modalities(query.getlist("input"), model_views.INPUTS, "input"),
        model_views.modalities(query.getlist("output"), model_views.OUTPUTS, "output"),
    )
    catalog = gateway.catalog
    named = route_models.usable(gateway.router, workspace) if workspace else []
    routes = [route for route in named if wanted.accepts(route_models.model_of(route, catalog))]
    first = [route_models.route_wire(route, catalog) for route in routes]
    return _json(model_views.openrouter(catalog, _ready(gateway), wanted, encode(first)))


def _ready(gateway: Gateway) -> frozenset[str]:
    """The providers that are configured."""
    return frozenset(name for name, endpoint in gateway.router.endpoints.items() if not endpoint.missing)


def _json(body: bytes) -> Response:
    return Response(body, media_type="application/json", headers={"x-request-id": ulid(time.time())})
