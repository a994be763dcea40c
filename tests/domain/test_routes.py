import pytest
from msgspec.structs import replace

from tidegate.domain.routes import Route, RouteTarget, check_route, check_routes
from tidegate.errors import InvalidRequest

A, B = RouteTarget("openai/gpt-4o"), RouteTarget("azure/gpt-4o", weight=3)
FAST = Route("fast", (A, B))


def fault(route: Route, own: bool = True) -> str | None:
    with pytest.raises(InvalidRequest) as caught:
        check_route(route, "routes[0]", of_workspace=own)
    return caught.value.param


@pytest.mark.parametrize(
    "route",
    [
        FAST,
        Route("openai/gpt-4o", (A,)),
        Route("team-a/best:v1@eu", (A,)),
        replace(FAST, by="weight", sticky=True, hedge_after_seconds=0.5, timeout_seconds=30, fallbacks=("groq/x", "y")),
        Route("away", (RouteTarget("bedrock/anthropic.claude-sonnet-4-5-20250929-v1:0", region="eu-central-1"),)),
        Route("dated", (RouteTarget("azure/gpt-4o", api_version="2024-10-21"),)),
    ],
)
def test_a_route_that_makes_sense_passes(route: Route) -> None:
    check_route(route, "routes[0]")


@pytest.mark.parametrize(
    "region", ["us-east-1", "us-gov-west-1", "ap-northeast-1", "europe-west4", "global", "us", "eu"]
)
def test_regions_of_both_clouds_are_known_by_their_shape(region: str) -> None:
    check_route(Route("r", (replace(A, region=region),)), "routes[0]")


@pytest.mark.parametrize(
    ("changed", "path"),
    [
        ({"name": ""}, "name"),
        ({"name": "a b"}, "name"),
        ({"name": "x" * 129}, "name"),
        ({"targets": ()}, "targets"),
        ({"targets": tuple(RouteTarget(f"openai/m{n}") for n in range(21))}, "targets"),
        ({"targets": (A, A)}, "targets[1]"),
        ({"targets": (A, RouteTarget("gpt-4o"))}, "targets[1].model"),
        ({"targets": (RouteTarget("openai/"),)}, "targets[0].model"),
        ({"targets": (RouteTarget("openai/a b"),)}, "targets[0].model"),
        ({"targets": (replace(A, weight=-1),)}, "targets[0].weight"),
        ({"targets": (replace(A, weight=1_000_001),)}, "targets[0].weight"),
        ({"targets": (replace(A, weight=0), replace(B, weight=0)), "by": "weight"}, "targets"),
        ({"targets": (replace(A, region="evil.example"),)}, "targets[0].region"),
        ({"targets": (replace(A, region="us-east-1/../x"),)}, "targets[0].region"),
        ({"targets": (replace(A, region="US-EAST-1"),)}, "targets[0].region"),
        ({"targets": (replace(A, api_version="1&x=y"),)}, "targets[0].api_version"),
        ({"fallbacks": ("fast",)}, "fallbacks[0]"),
        ({"fallbacks": ("a/b", "")}, "fallbacks[1]"),
        ({"fallbacks": ("a/b", "a/b")}, "fallbacks[1]"),
        ({"fallbacks": tuple(f"a/m{n}" for n in range(11))}, "fallbacks"),
        ({"sticky": True}, "sticky"),
        ({"sticky": True, "by": "latency"}, "sticky"),
        ({"timeout_seconds": 0}, "timeout_seconds"),
        ({"timeout_seconds": float("nan")}, "timeout_seconds"),
        ({"timeout_seconds": float("inf")}, "timeout_seconds"),
        ({"hedge_after_seconds": -1}, "hedge_after_seconds"),
        ({"targets": (A,), "hedge_after_seconds": 1}, "hedge_after_seconds"),
        ({"cooldown_seconds": 3601}, "cooldown_seconds"),
        ({"cooldown_failures": 0}, "cooldown_failures"),
    ],
)
def test_what_is_wrong_is_named_by_its_path(changed: dict[str, object], path: str) -> None:
    assert fault(replace(FAST, **changed)) == f"routes[0].{path}"


@pytest.mark.parametrize(
    ("changed", "field"),
    [({"base_url": "https://stranger.example/v1"}, "base_url"), ({"key": "OTHER_KEY"}, "key"), ({"key": None}, "key")],
)
def test_a_workspace_sends_the_gateways_keys_nowhere(changed: dict[str, object], field: str) -> None:
    route = Route("mine", (replace(A, **changed),))
    assert fault(route) == f"routes[0].targets[0].{field}"
    check_route(route, "routes[0]", of_workspace=False)


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"base_url": "ftp://host/v1"}, "base_url"),
        ({"base_url": "https://user:password@host/v1"}, "base_url"),
        ({"base_url": "https://host/v1?key=1"}, "base_url"),
        ({"key": "sk-is a key itself"}, "key"),
    ],
)
def test_an_operator_may_err_as_well(changed: dict[str, object], field: str) -> None:
    assert fault(Route("ours", (replace(A, **changed),)), own=False) == f"routes[0].targets[0].{field}"


def test_an_invalid_base_url_is_not_repeated() -> None:
    with pytest.raises(InvalidRequest) as caught:
        check_route(Route("ours", (replace(A, base_url="https://user:password@host/v1"),)), "r", of_workspace=False)
    assert caught.value.message == "This is not a valid base_url."


def test_two_routes_have_two_names() -> None:
    with pytest.raises(InvalidRequest) as caught:
        check_routes((FAST, replace(FAST, by="price")))
    assert caught.value.param == "routes[1].name"


def test_there_is_an_end_to_routes() -> None:
    with pytest.raises(InvalidRequest) as caught:
        check_routes(tuple(replace(FAST, name=f"r{n}") for n in range(51)))
    assert caught.value.param == "routes"
