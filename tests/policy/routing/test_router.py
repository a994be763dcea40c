"""Which deployment answers for a model's name."""

import pytest
from msgspec import structs
from msgspec.structs import replace

from tidegate import catalog
from tidegate.domain.deployment import Deployment, ProviderConfig, Resolution
from tidegate.domain.routes import Route, RouteTarget
from tidegate.domain.workspace import Workspace, WorkspaceCredential
from tidegate.errors import ConfigurationError, ModelNotFound, NotConfigured
from tidegate.policy.routing.router import Router

ENDPOINTS = {
    "openai": ProviderConfig("openai", "https://openai.test/v1", "OPENAI_API_KEY"),
    "mistral": ProviderConfig("mistral", "https://mistral.test/v1", "MISTRAL_API_KEY", ("MISTRAL_API_KEY",)),
    "groq": ProviderConfig("groq", "https://groq.test/v1", "GROQ_API_KEY"),
    "databricks": ProviderConfig("databricks", "", "DATABRICKS_API_KEY", ("DATABRICKS_BASE_URL", "DATABRICKS_API_KEY")),
    "vllm": ProviderConfig("vllm", "http://vllm.test/v1"),
    "dated": ProviderConfig("dated", "https://dated.test", api_version="2024-10-21"),
    "cloud": ProviderConfig(
        "cloud", "https://eu-1.cloud.test", region="eu-1", regional_url="https://{}.cloud.test".format
    ),
    "bare": ProviderConfig(
        "bare", "", "BARE_KEY", ("BARE_URL", "REGION", "BARE_KEY"), None, None, ("BARE_KEY",), ("REGION",), str
    ),
}


def router(default_provider: str | None = None, *routes: Route) -> Router:
    return Router(ENDPOINTS, {"mistralai": "mistral"}, catalog.load_catalog(), default_provider, routes)


def planned(*targets: RouteTarget, workspace: Workspace | None = None) -> tuple[Deployment, ...]:
    return router(None, Route("fast", targets)).resolve("fast", workspace).deployments


def test_the_prefix_names_the_provider_and_the_rest_is_its_model() -> None:
    assert router().resolve("groq/meta-llama/llama-4-scout").deployments == (
        Deployment("groq", "meta-llama/llama-4-scout", "https://groq.test/v1", "GROQ_API_KEY"),
    )


def test_a_deployment_knows_the_version_of_its_api() -> None:
    assert router().resolve("dated/m").deployments == (
        Deployment("dated", "m", "https://dated.test", api_version="2024-10-21"),
    )


def test_a_bare_name_goes_to_its_maker() -> None:
    assert router().resolve("gpt-4o-2024-08-06").deployments[0].model_id == "openai/gpt-4o-2024-08-06"


def test_a_bare_name_that_nobody_knows_goes_to_the_default_provider() -> None:
    assert router("vllm").resolve("qwen3").deployments[0].model_id == "vllm/qwen3"


def test_the_default_provider_may_have_another_name_and_has_to_exist() -> None:
    with pytest.raises(NotConfigured, match="'mistral'"):
        router("mistralai").resolve("qwen3")
    with pytest.raises(ConfigurationError, match="TIDEGATE_DEFAULT_PROVIDER is not a known provider: 'opnai'"):
        router("opnai")


def test_a_maker_without_a_key_leaves_a_bare_name_to_the_default_provider() -> None:
    assert router("vllm").resolve("mistral-large-latest").deployments[0].provider == "vllm"
    with pytest.raises(NotConfigured):
        router().resolve("mistral-large-latest")


def test_a_provider_that_is_not_configured_says_what_to_set() -> None:
    with pytest.raises(NotConfigured, match="set DATABRICKS_BASE_URL and DATABRICKS_API_KEY"):
        router().resolve("databricks/llama")
    with pytest.raises(NotConfigured, match="set MISTRAL_API_KEY"):
        router().resolve("mistralai/mistral-small")


@pytest.mark.parametrize("name", ["nobody/gpt-4o", "openai/", "/gpt-4o", "/", "no such model"])
def test_a_name_that_leads_nowhere_is_a_404(name: str) -> None:
    with pytest.raises(ModelNotFound) as caught:
        router().resolve(name)
    assert (caught.value.status, caught.value.param) == (404, "model")


def test_a_misspelt_name_is_answered_with_the_nearest_ones() -> None:
    with pytest.raises(ModelNotFound, match=r"openai/gpt-4\.1"):
        router().resolve("opneai/gpt-4.1")


GPT = Deployment("openai", "gpt-4o", "https://openai.test/v1", "OPENAI_API_KEY", label="fast#1")


def test_a_routes_name_stands_for_its_targets() -> None:
    route = Route("fast", (RouteTarget("openai/gpt-4o"), RouteTarget("groq/llama", 3)))
    groq = Deployment("groq", "llama", "https://groq.test/v1", "GROQ_API_KEY", weight=3, label="fast#2")
    assert router(None, route).resolve("fast") == Resolution((GPT, groq), route)


def test_a_workspaces_own_route_wins_and_both_come_before_the_catalogue() -> None:
    ours, own = (Route("openai/gpt-4o", (RouteTarget(model),)) for model in ("groq/ours", "groq/own"))
    found = router(None, ours)
    assert found.resolve("openai/gpt-4o", Workspace("ws", "W")).deployments[0].model_id == "groq/ours"
    plan = found.resolve("openai/gpt-4o", Workspace("ws", "W", routes=(own,)))
    assert (plan.deployments[0].model_id, plan.route, plan.is_workspace_route) == ("groq/own", own, True)


def test_another_workspaces_route_leads_nowhere() -> None:
    with pytest.raises(ModelNotFound):
        router().resolve("fast", Workspace("ws", "W"))


def test_a_target_says_what_is_other_than_its_providers() -> None:
    (there, here) = planned(RouteTarget("cloud/m", region="us-2"), RouteTarget("cloud/m"))
    assert there == Deployment("cloud", "m", "https://us-2.cloud.test", region="us-2", label="fast#1")
    assert here == Deployment("cloud", "m", "https://eu-1.cloud.test", region="eu-1", label="fast#2")
    elsewhere = planned(RouteTarget("openai/gpt-4o", base_url="https://else.test/v1", key="ELSE_KEY", api_version="1"))
    assert elsewhere == (Deployment("openai", "gpt-4o", "https://else.test/v1", "ELSE_KEY", "1", label="fast#1"),)
    assert planned(RouteTarget("openai/gpt-4o", key=None))[0].secret is None


def test_targets_of_the_same_model_are_different_places() -> None:
    targets = (
        RouteTarget("cloud/m"),
        RouteTarget("cloud/m", region="us-2"),
        RouteTarget("cloud/m", key="K"),
        RouteTarget("cloud/n"),
    )
    assert len({deployment.identity for deployment in planned(*targets)}) == 4


def test_a_target_that_cannot_be_asked_is_left_out() -> None:
    assert planned(RouteTarget("mistralai/m"), RouteTarget("openai/gpt-4o")) == (replace(GPT, label="fast#2"),)
    with pytest.raises(NotConfigured, match="set MISTRAL_API_KEY"):
        planned(RouteTarget("mistralai/m"), RouteTarget("databricks/m"))
    owner = Workspace("ws", "W", credentials=(WorkspaceCredential("MISTRAL_API_KEY", 0),))
    assert planned(RouteTarget("mistral/m"), workspace=owner)[0].secret == "MISTRAL_API_KEY"


def test_a_target_makes_up_for_what_its_provider_lacks() -> None:
    full = RouteTarget("bare/m", region="r", base_url="https://b.test", key="K")
    assert planned(full) == (Deployment("bare", "m", "https://b.test", "K", None, "r", label="fast#1"),)
    with_key = planned(structs.replace(full, region=None))
    assert with_key == (Deployment("bare", "m", "https://b.test", "K", label="fast#1"),)
    for lacking, names in (
        (RouteTarget("bare/m"), "BARE_URL and REGION and BARE_KEY"),
        (structs.replace(full, key=""), "BARE_KEY"),
        (structs.replace(full, base_url=None), "BARE_URL"),
        (structs.replace(full, key=None, region=None), "REGION"),
    ):
        with pytest.raises(NotConfigured, match=f"set {names}\\."):
            planned(lacking)


@pytest.mark.parametrize(
    ("target", "said"),
    [
        (RouteTarget("opnai/m"), "TIDEGATE_ROUTES[0].targets[1]: The provider of 'opnai/m' is not known."),
        (RouteTarget("openai/m", region="eu"), "TIDEGATE_ROUTES[0].targets[1]: The provider 'openai' has no regions."),
    ],
)
def test_an_operators_route_that_cannot_work_is_a_fault_at_once_and_a_workspaces_when_it_is_used(
    target: RouteTarget, said: str
) -> None:
    route = Route("fast", (RouteTarget("openai/gpt-4o"), target))
    with pytest.raises(ConfigurationError) as caught:
        router(None, route)
    assert caught.value.message == said
    plan = router().resolve("fast", Workspace("ws", "W", routes=(route,)))
    assert plan.deployments == (GPT,)
    with pytest.raises(NotConfigured):
        router().resolve("fast", Workspace("ws", "W", routes=(structs.replace(route, targets=(target,)),)))
