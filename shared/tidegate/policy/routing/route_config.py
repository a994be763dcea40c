"""Parses routes from JSON: the operator's in `TIDEGATE_ROUTES` at start-up, a workspace's in the admin API and CLI."""

import msgspec

from tidegate.domain.routes import Route, RouteTarget, check_routes
from tidegate.errors import ConfigurationError, InvalidRequest
from tidegate.json import Json, JsonObject

_ROUTE_FIELDS = frozenset(Route.__struct_fields__)
_TARGET_FIELDS = frozenset(RouteTarget.__struct_fields__)


def parse_operator_routes(value: Json) -> tuple[Route, ...]:
    """Parse the operator's routes. Raises `ConfigurationError` with the path of the first invalid field."""
    try:
        return parse_routes(value, "TIDEGATE_ROUTES", of_workspace=False)
    except InvalidRequest as error:
        raise ConfigurationError(f"{error.param}: {error.message}") from None


def parse_routes(value: Json, path: str = "routes", *, of_workspace: bool = True) -> tuple[Route, ...]:
    """Parse a list of routes. `path` is its name in errors; rules for `of_workspace` are in `check_routes`.

    Raises `InvalidRequest` with the path of the first invalid field.
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
    """Raise `InvalidRequest` for an unknown field, which is most likely misspelt."""
    for i, entry in enumerate(value if isinstance(value, list) else ()):
        if not isinstance(entry, dict):
            continue
        _check_fields(entry, _ROUTE_FIELDS, f"{path}[{i}]")
        targets = entry.get("targets")
        for j, target in enumerate(targets if isinstance(targets, list) else ()):
            if isinstance(target, dict):
                _check_fields(target, _TARGET_FIELDS, f"{path}[{i}].targets[{j}]")


def _check_fields(entry: JsonObject, fields: frozenset[str], path: str) -> None:
    unknown = sorted(entry.keys() - fields)
    if unknown:
        message = f"There is no field {unknown[0]!r}. The fields are {', '.join(sorted(fields))}."
        raise InvalidRequest(message, param=path)
