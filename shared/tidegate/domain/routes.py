"""Routes: model names that stand for several deployments, and the order in which these are tried.

Patterns are compiled when they are first needed: data classes and patterns would cost every cold start 3 ms, and few
installations configure routes.
"""

import re
from typing import Literal

from msgspec import Struct

from tidegate.errors import InvalidRequest

RouteOrder = Literal["order", "weight", "latency", "price"]

MAX_ROUTES, MAX_TARGETS, MAX_FALLBACKS = 50, 20, 10
MAX_WEIGHT = 1_000_000
MAX_SECONDS = 3_600.0
MAX_FAILURES = 100

_NAME = r"[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,127}"
_MODEL = r"[a-z0-9][A-Za-z0-9._-]{0,62}/[^\s/][^\s]{0,190}"
_REGION = r"global|us|eu|[a-z]{2,12}(-[a-z]{2,12}){1,2}-?[0-9]{1,2}"
"""A region becomes a part of a host's name, so it has no dot and no slash, which could name another host."""

_VERSION = r"[A-Za-z0-9][A-Za-z0-9.-]{0,39}"
_URL = r"https?://[^\s/?#@]+(/[^\s?#]*)?"
_SETTING = r"[A-Za-z_][A-Za-z0-9_]{0,126}"


class RouteTarget(Struct, frozen=True, omit_defaults=True):
    """One deployment of a route; `model` is `provider/model`, as in a request.

    `weight` is its share of the calls of a route by weight; with 0 it gets calls only when the others fail. `region` is
    the region of a cloud provider. Only the operator may set `base_url` and `key`, the name of the setting that holds
    the key: "" is the provider's usual setting, None sends no key.
    """

    model: str
    weight: int = 1
    region: str | None = None
    api_version: str | None = None
    base_url: str | None = None
    key: str | None = ""


class Route(Struct, frozen=True, omit_defaults=True):
    """Deployments that callers request together, as the model `name`.

    Targets are tried in the order `by`; those that cool down come last. `fallbacks` are models and routes to try when
    no target answers. `timeout_seconds` limits the duration of a call. `sticky`: the calls of a session go to the same
    target. `hedge_after_seconds` without a first event, the next target gets the request too. After `cooldown_failures`
    failures in a row a target cools down for `cooldown_seconds`, and for longer if it then fails again.
    """

    name: str
    targets: tuple[RouteTarget, ...]
    by: RouteOrder = "order"
    fallbacks: tuple[str, ...] = ()
    timeout_seconds: float | None = None
    sticky: bool = False
    hedge_after_seconds: float | None = None
    cooldown_failures: int = 3
    cooldown_seconds: float = 30.0


def check_routes(routes: tuple[Route, ...], path: str = "routes", *, of_workspace: bool = True) -> None:
    """Validate routes. Raises `InvalidRequest` with the path of the first field that is wrong.

    Routes `of_workspace` may not set keys and base URLs: the gateway's keys would be sent there.
    """
    _require(len(routes) <= MAX_ROUTES, f"At most {MAX_ROUTES} routes are allowed, not {len(routes)}.", path)
    names: set[str] = set()
    for i, route in enumerate(routes):
        check_route(route, f"{path}[{i}]", of_workspace=of_workspace)
        _require(route.name not in names, f"The route name {route.name!r} is used twice.", f"{path}[{i}].name")
        names.add(route.name)


def check_route(route: Route, path: str, *, of_workspace: bool = True) -> None:
    """Validate one route, as `check_routes` does."""
    shape = "must have 1 to 128 letters, digits or any of ._:/@+-, and begin with a letter or a digit"
    _require(re.fullmatch(_NAME, route.name), f"A route's name {shape}, not {route.name[:80]!r}.", f"{path}.name")
    count = f"A route must have 1 to {MAX_TARGETS} targets, not {len(route.targets)}."
    _require(1 <= len(route.targets) <= MAX_TARGETS, count, f"{path}.targets")
    for i, target in enumerate(route.targets):
        _check_target(target, f"{path}.targets[{i}]", of_workspace=of_workspace)
        is_duplicate = target in route.targets[:i]
        _require(not is_duplicate, "This target is listed twice: give it more weight instead.", f"{path}.targets[{i}]")
    total = sum(target.weight for target in route.targets)
    _require(route.by != "weight" or total > 0, "At least one target must have a weight above 0.", f"{path}.targets")
    _check_fallbacks(route, f"{path}.fallbacks")
    can_stick = route.by == "weight" or not route.sticky
    _require(can_stick, "Only a route by weight can be sticky: set by to 'weight'.", f"{path}.sticky")
    for name in ("timeout_seconds", "hedge_after_seconds", "cooldown_seconds"):
        _check_seconds(getattr(route, name), f"{path}.{name}")
    can_hedge = route.hedge_after_seconds is None or len(route.targets) > 1
    message = "A route with one target cannot hedge: remove hedge_after_seconds or add a target."
    _require(can_hedge, message, f"{path}.hedge_after_seconds")
    failures = f"A target must cool down after 1 to {MAX_FAILURES} failures, not {route.cooldown_failures}."
    _require(1 <= route.cooldown_failures <= MAX_FAILURES, failures, f"{path}.cooldown_failures")


def _check_target(target: RouteTarget, path: str, *, of_workspace: bool) -> None:
    example = "A target's model must be written as provider/model, such as openai/gpt-4o"
    _require(re.fullmatch(_MODEL, target.model), f"{example}, not {target.model[:80]!r}.", f"{path}.model")
    weight = f"A weight must be a whole number from 0 to {MAX_WEIGHT}, not {target.weight}."
    _require(0 <= target.weight <= MAX_WEIGHT, weight, f"{path}.weight")
    for name, pattern in (("region", _REGION), ("api_version", _VERSION), ("base_url", _URL)):
        value: str | None = getattr(target, name)
        is_valid = value is None or re.fullmatch(pattern, value)
        quoted = "This" if name == "base_url" else repr(str(value)[:80])  # a URL may hold a password
        _require(is_valid, f"{quoted} is not a valid {name}.", f"{path}.{name}")
    _require(not (of_workspace and target.base_url is not None), _operator_only("base_url"), f"{path}.base_url")
    _require(not (of_workspace and target.key != ""), _operator_only("key"), f"{path}.key")
    setting = "key must be the name of the setting that holds the key, never the key itself."
    _require(not target.key or re.fullmatch(_SETTING, target.key), setting, f"{path}.key")


def _check_fallbacks(route: Route, path: str) -> None:
    count = len(route.fallbacks)
    _require(count <= MAX_FALLBACKS, f"At most {MAX_FALLBACKS} fallbacks are allowed, not {count}.", path)
    for i, name in enumerate(route.fallbacks):
        message = "A fallback must be the name of a model or route, of at most 256 printable characters."
        _require(0 < len(name) <= 256 and name.isprintable(), message, f"{path}[{i}]")
        _require(name != route.name, f"The route {name!r} falls back to itself.", f"{path}[{i}]")
        _require(name not in route.fallbacks[:i], f"The fallback {name!r} is listed twice.", f"{path}[{i}]")


def _check_seconds(seconds: float | None, path: str) -> None:
    fits = seconds is None or 0 < seconds <= MAX_SECONDS
    _require(fits, f"{path} must be more than 0 and at most {MAX_SECONDS:.0f} seconds, not {seconds}.", path)


def _operator_only(field: str) -> str:
    return f"A workspace's route cannot set {field}: only the operator can, in TIDEGATE_ROUTES."


def _require(condition: object, message: str, path: str) -> None:
    if not condition:
        raise InvalidRequest(message, param=path)
