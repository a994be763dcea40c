"""Routes as people write them in JSON: the list in `TIDEGATE_ROUTES`, and those of a workspace."""

import msgspec

from tidegate.domain.routes import Route, RouteTarget, check_routes
from tidegate.errors import ConfigurationError, InvalidRequest
from tidegate.json import Json, JsonObject

_ROUTE = frozenset(Route.__struct_fields__)
_TARGET = frozenset(RouteTarget.__struct_fields__)


def parse_operator_routes(value: Json) -> tuple[Route, ...]:
    """The operator's. Raises `ConfigurationError` for the first fault, with its field's path."""
    try:
        return parse_routes(value, "TIDEGATE_ROUTES", of_workspace=False)
    except InvalidRequest as error:
        raise ConfigurationError(f"{error.param}: {error.message}") from None


def parse_routes(value: Json, path: str = "routes", *, of_workspace: bool = True) -> tuple[Route, ...]:
    """The routes that the list at that path stands for; `own` are a workspace's, see `check_routes`.

    Raises `InvalidRequest` with the path of the first field that is wrong.
    """
    _check_field_names(value, path)
    try:
        routes = msgspec.convert(value, tuple[Route, ...])
    except msgspec.ValidationError as error:
        problem, _, subpath = str(error).partition(" - at `$")
        raise InvalidRequest(f"{problem}.", param=f"{path}{subpath.rstrip('`')}") from None
    check_routes(routes, path, of_workspace=of_workspace)
    return routes


def _check_field_names(value: Json, path: str) -> None:
    """A field that nobody knows is a misspelt one."""
    for i, entry in enumerate(value if isinstance(value, list) else ()):
        if not isinstance(entry, dict):
            continue
        _check_fields(entry, _ROUTE, f"{path}[{i}]")
        targets = entry.get("targets")
        for j, target in enumerate(targets if isinstance(targets, list) else ()):
            if isinstance(target, dict):
                _check_fields(target, _TARGET, f"{path}[{i}].targets[{j}]")


def _check_fields(entry: JsonObject, fields: frozenset[str], path: str) -> None:
    unknown = sorted(entry.keys() - fields)
    if unknown:
        message = f"there is no field {unknown[0]!r}; there are {', '.join(sorted(fields))}."
        raise InvalidRequest(message, param=path)
