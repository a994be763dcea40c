"""Routes: a model's name that stands for several deployments, and how one of them is chosen.

These are msgspec's structures, and patterns are compiled when they are needed: a cold start would pay 3 ms for data
classes and patterns, and few configure routes.
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
"""A region is a part of a host's name: no dot, no slash, nothing that could name another host."""

_VERSION = r"[A-Za-z0-9][A-Za-z0-9.-]{0,39}"
_URL = r"https?://[^\s/?#@]+(/[^\s?#]*)?"
_SETTING = r"[A-Za-z_][A-Za-z0-9_]{0,126}"


class RouteTarget(Struct, frozen=True, omit_defaults=True):
    """One of a route's deployments: `model` is `provider/model`, as a caller could ask for it.

    `weight` is its share where routes go by weight: 0 gets a call only when the others fail. `region` is the cloud's,
    where the provider is a part of one. The operator alone says `base_url`, and `key`, the name of the setting that
    holds the key; "" is the provider's usual one, None is no key.
    """

    model: str
    weight: int = 1
    region: str | None = None
    api_version: str | None = None
    base_url: str | None = None
    key: str | None = ""


class Route(Struct, frozen=True, omit_defaults=True):
    """What callers ask for as `name`. Deployments are tried `by` that order; those that cool down come last.

    `fallbacks` are models and routes to ask when no target answers. `timeout_seconds` is the longest that a call of the
    route may take. `sticky`: the calls of a session go to the same target. `hedge_after_seconds` without a first event,
    the next target is asked too. After so many failures in a row (`cooldown_failures`) a target cools down for
    `cooldown_seconds`, and for longer when it fails again.
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
    """`own` are a workspace's, which say nothing of keys and addresses: the gateway's keys would go there.

    Raises `InvalidRequest` with the path of the first field that is wrong.
    """
    _require(len(routes) <= MAX_ROUTES, f"There may be up to {MAX_ROUTES} routes.", path)
    names: set[str] = set()
    for i, route in enumerate(routes):
        check_route(route, f"{path}[{i}]", of_workspace=of_workspace)
        _require(route.name not in names, f"There are two routes named {route.name!r}.", f"{path}[{i}].name")
        names.add(route.name)


def check_route(route: Route, path: str, *, of_workspace: bool = True) -> None:
    """See `check_routes`."""
    shape = "1 to 128 letters, digits or any of ._:/@+-, and begins with a letter or a digit"
    _require(re.fullmatch(_NAME, route.name), f"A route's name has {shape}: not {route.name[:80]!r}.", f"{path}.name")
    count = f"A route has 1 to {MAX_TARGETS} targets, not {len(route.targets)}."
    _require(1 <= len(route.targets) <= MAX_TARGETS, count, f"{path}.targets")
    for i, target in enumerate(route.targets):
        _check_target(target, f"{path}.targets[{i}]", of_workspace=of_workspace)
        is_duplicate = target in route.targets[:i]
        _require(not is_duplicate, "This target is there twice: give it more weight instead.", f"{path}.targets[{i}]")
    total = sum(target.weight for target in route.targets)
    _require(route.by != "weight" or total > 0, "One target at least must have a weight.", f"{path}.targets")
    _check_fallbacks(route, f"{path}.fallbacks")
    can_stick = route.by == "weight" or not route.sticky
    _require(can_stick, "Sessions stick to targets that are chosen by weight: set by to weight.", f"{path}.sticky")
    for name in ("timeout_seconds", "hedge_after_seconds", "cooldown_seconds"):
        _check_seconds(getattr(route, name), f"{path}.{name}")
    can_hedge = route.hedge_after_seconds is None or len(route.targets) > 1
    _require(can_hedge, "One target alone has no other to ask as well.", f"{path}.hedge_after_seconds")
    failures = f"A target cools down after 1 to {MAX_FAILURES} failures, not {route.cooldown_failures}."
    _require(1 <= route.cooldown_failures <= MAX_FAILURES, failures, f"{path}.cooldown_failures")


def _check_target(target: RouteTarget, path: str, *, of_workspace: bool) -> None:
    example = "A target's model is written as provider/model, such as openai/gpt-4o"
    _require(re.fullmatch(_MODEL, target.model), f"{example}: not {target.model[:80]!r}.", f"{path}.model")
    weight = f"A weight is a whole number from 0 to {MAX_WEIGHT}, not {target.weight}."
    _require(0 <= target.weight <= MAX_WEIGHT, weight, f"{path}.weight")
    for name, pattern in (("region", _REGION), ("api_version", _VERSION), ("base_url", _URL)):
        value: str | None = getattr(target, name)
        _require(
            value is None or re.fullmatch(pattern, value), f"This is no {name}: {str(value)[:80]!r}.", f"{path}.{name}"
        )
    _require(not (of_workspace and target.base_url is not None), _operator_only("address"), f"{path}.base_url")
    _require(not (of_workspace and target.key != ""), _operator_only("key"), f"{path}.key")
    setting = "A key is given by the name of the setting that holds it, never itself."
    _require(not target.key or re.fullmatch(_SETTING, target.key), setting, f"{path}.key")


def _check_fallbacks(route: Route, path: str) -> None:
    _require(len(route.fallbacks) <= MAX_FALLBACKS, f"There may be up to {MAX_FALLBACKS} fallbacks.", path)
    for i, name in enumerate(route.fallbacks):
        _require(0 < len(name) <= 256 and name.isprintable(), "A fallback is a model's name.", f"{path}[{i}]")
        _require(name != route.name, f"The route {name!r} falls back to itself.", f"{path}[{i}]")
        _require(name not in route.fallbacks[:i], f"The fallback {name!r} is there twice.", f"{path}[{i}]")


def _check_seconds(seconds: float | None, path: str) -> None:
    fits = seconds is None or 0 < seconds <= MAX_SECONDS
    _require(fits, f"This is more than 0 and up to {MAX_SECONDS:.0f} seconds, not {seconds}.", path)


def _operator_only(field: str) -> str:
    return f"A workspace's route has no {field}: the operator's alone may, in TIDEGATE_ROUTES."


def _require(condition: object, message: str, path: str) -> None:
    if not condition:
        raise InvalidRequest(message, param=path)
