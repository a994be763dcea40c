"""Routes as people write them in JSON: the list in `TIDEGATE_ROUTES`, and those of a workspace."""

import msgspec

from tidegate.domain.routes import Route, Target, check_routes
from tidegate.errors import ConfigurationError, InvalidRequest
from tidegate.json import Json, JsonObject

_ROUTE = frozenset(Route.__struct_fields__)
_TARGET = frozenset(Target.__struct_fields__)


def routes(listed: Json) -> tuple[Route, ...]:
    """The operator's. Raises `ConfigurationError` for the first fault, with its field's path."""
    try:
        return routes_of(listed, "TIDEGATE_ROUTES", own=False)
    except InvalidRequest as error:
        raise ConfigurationError(f"{error.param}: {error.message}") from None


def routes_of(listed: Json, path: str = "routes", *, own: bool = True) -> tuple[Route, ...]:
    """The routes that the list at that path stands for; `own` are a workspace's, see `check_routes`.

    Raises `InvalidRequest` with the path of the first field that is wrong.
    """
    _check_names(listed, path)
    try:
        found = msgspec.convert(listed, tuple[Route, ...])
    except msgspec.ValidationError as error:
        said, _, at = str(error).partition(" - at `$")
        raise InvalidRequest(f"{said}.", param=f"{path}{at.rstrip('`')}") from None
    check_routes(found, path, own=own)
    return found


def _check_names(listed: Json, path: str) -> None:
    """A field that nobody knows is a misspelt one."""
    for i, entry in enumerate(listed if isinstance(listed, list) else ()):
        if not isinstance(entry, dict):
            continue
        _check_known(entry, _ROUTE, f"{path}[{i}]")
        targets = entry.get("targets")
        for j, target in enumerate(targets if isinstance(targets, list) else ()):
            if isinstance(target, dict):
                _check_known(target, _TARGET, f"{path}[{i}].targets[{j}]")


def _check_known(entry: JsonObject, known: frozenset[str], path: str) -> None:
    unknown = sorted(entry.keys() - known)
    if unknown:
        said = f"there is no field {unknown[0]!r}; there are {', '.join(sorted(known))}."
        raise InvalidRequest(said, param=path)
