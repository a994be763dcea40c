"""Routes in the lists of models: each as a model with the abilities that all of its targets share."""

from collections.abc import Iterable, Sequence
from datetime import date

from tidegate.api.model_views import model_json
from tidegate.catalog import Catalog, CatalogModel
from tidegate.domain.routes import Route
from tidegate.domain.workspace import Workspace
from tidegate.errors import NotConfigured
from tidegate.policy.routing.router import Router

OWNER = "tidegate"

_NEVER = date(1970, 1, 1)
_HOW = {"order": "in this order", "weight": "by weight", "latency": "by latency", "price": "by price"}


def usable_routes(router: Router, workspace: Workspace) -> list[Route]:
    """Return the routes that the workspace may use, its own before the operator's."""
    own_names = {route.name for route in workspace.routes}
    routes = [*workspace.routes, *(route for route in router.routes if route.name not in own_names)]
    return [route for route in routes if _has_target(router, route, workspace)]


def model_of_route(route: Route, catalog: Catalog) -> CatalogModel:
    """Return the route as a model: the smallest window, the common modalities, and the price if all have the same."""
    targets = [catalog.find_model(target.model) for target in route.targets]
    models = [model for model in targets if model is not None]
    if len(models) < len(targets):
        return CatalogModel(id=route.name, name=route.name, source="", checked=_NEVER)
    first = models[0]
    return CatalogModel(
        id=route.name,
        name=route.name,
        source="",
        checked=max(model.checked for model in models),
        context_window=_minimum(model.context_window for model in models),
        output_limit=_minimum(model.output_limit for model in models),
        inputs=_common([model.inputs for model in models]),
        outputs=_common([model.outputs for model in models]),
        reasoning=first.reasoning if all(model.can_reason for model in models) else None,
        parameters=_common([model.parameters for model in models]),
        deprecated=all(model.deprecated for model in models),
        prices=first.prices if all(model.prices == first.prices for model in models) else (),
    )


def route_json(route: Route, catalog: Catalog) -> dict[str, object]:
    """Return the route as an entry of `/v1/models`."""
    return {**model_json(model_of_route(route, catalog)), "owned_by": OWNER, "description": _describe(route)}


def selected_route_json(route: Route, catalog: Catalog) -> dict[str, object]:
    """Return the route as an entry of neuroflash's list."""
    model = model_of_route(route, catalog)
    return {
        "id": route.name,
        "name": route.name,
        "provider": OWNER,
        "description": _describe(route),
        "context_window": model.context_window,
        "available": not model.deprecated,
        "reasoning_model": model.can_reason,
    }


def _describe(route: Route) -> str:
    models = ", ".join(dict.fromkeys(target.model for target in route.targets))
    return f"A route to {models}, {_HOW[route.by]}" if len(route.targets) > 1 else f"A route to {models}"


def _has_target(router: Router, route: Route, workspace: Workspace) -> bool:
    try:
        return bool(router.resolve(route.name, workspace).deployments)
    except NotConfigured:
        return False


def _minimum(numbers: Iterable[int | None]) -> int | None:
    values = list(numbers)
    return None if None in values else min(number for number in values if number is not None)


def _common(lists: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    """Return the items that all lists have, in the order of the first list."""
    return tuple(item for item in lists[0] if all(item in other for other in lists[1:]))
