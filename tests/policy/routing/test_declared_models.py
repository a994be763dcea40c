"""Models that the operator declares: whose a bare name is."""

import pytest

from tidegate import catalog
from tidegate.catalog.declared_catalog import DeclaredCatalog
from tidegate.catalog.row import DeclaredModel
from tidegate.domain.deployment import ProviderConfig
from tidegate.domain.workspace import Workspace, WorkspaceCredential
from tidegate.errors import InvalidRequest, ModelNotFound, NotConfigured
from tidegate.policy.routing.router import Router

CONFIGS = {
    "alpha": ProviderConfig("alpha", "https://alpha.test/v1", "ALPHA_API_KEY"),
    "beta": ProviderConfig("beta", "https://beta.test/v1", "BETA_API_KEY"),
    "off": ProviderConfig("off", "https://off.test/v1", "OFF_API_KEY", ("OFF_API_KEY",)),
    "qwen3": ProviderConfig("qwen3", "https://qwen3.test/v1", "QWEN3_API_KEY"),
    "openai": ProviderConfig("openai", "https://openai.test/v1", "OPENAI_API_KEY"),
}
DECLARED = {
    "alpha": [
        DeclaredModel("Qwen3-Big", aliases=("qwen-big", "gpt-4o")),
        DeclaredModel("shared"),
        DeclaredModel("a/b"),
    ],
    "beta": [DeclaredModel("shared"), DeclaredModel("sometimes")],
    "off": [DeclaredModel("sometimes"), DeclaredModel("never"), DeclaredModel("gpt-4.1")],
}


def resolve(model_id: str, workspace: Workspace | None = None, default: str | None = None) -> str:
    models = DeclaredCatalog(catalog.load_catalog(), DECLARED)
    router = Router(CONFIGS, {}, models, default, one_model_providers=frozenset({"qwen3"}))
    return router.resolve(model_id, workspace).deployments[0].model_id


@pytest.mark.parametrize(
    ("model_id", "resolved"),
    [
        ("Qwen3-Big", "alpha/Qwen3-Big"),
        ("qwen3-big", "alpha/Qwen3-Big"),
        ("qwen-big", "alpha/Qwen3-Big"),
        ("alpha/qwen-big", "alpha/Qwen3-Big"),
        ("alpha/other", "alpha/other"),
        ("a/b", "alpha/a/b"),
        ("gpt-4o", "alpha/Qwen3-Big"),
        ("openai/gpt-4o", "openai/gpt-4o"),
        ("sometimes", "beta/sometimes"),
        ("gpt-4.1", "openai/gpt-4.1"),
        ("beta/shared", "beta/shared"),
        ("qwen3", "qwen3/qwen3"),
    ],
)
def test_a_declared_name_is_that_providers(model_id: str, resolved: str) -> None:
    assert resolve(model_id) == resolved
    assert resolve(model_id, default="beta") == resolved


def test_a_name_that_two_providers_declare_is_a_400_that_names_both() -> None:
    with pytest.raises(
        InvalidRequest, match="declared by alpha and beta: ask for alpha/shared or beta/shared"
    ) as caught:
        resolve("shared")
    assert (caught.value.status, caught.value.param) == (400, "model")


def test_a_workspaces_key_configures_a_declaring_provider() -> None:
    own = Workspace("ws", "W", credentials=(WorkspaceCredential("OFF_API_KEY", 0.0),))
    assert resolve("never", own) == "off/never"
    with pytest.raises(InvalidRequest, match="beta and off"):
        resolve("sometimes", own)


def test_a_declared_model_of_a_provider_without_a_key_says_what_to_set() -> None:
    with pytest.raises(NotConfigured, match="set OFF_API_KEY"):
        resolve("never")
    assert resolve("never", default="beta") == "beta/never"


def test_a_misspelt_declared_name_is_answered_with_it() -> None:
    with pytest.raises(ModelNotFound, match="alpha/Qwen3-Big"):
        resolve("qwen3-bigg")
