"""Which deployment answers for a model's name."""

import pytest

from tidegate import catalog
from tidegate.domain.model import Deployment, Endpoint
from tidegate.errors import ConfigurationError, ModelNotFound, NotConfigured
from tidegate.policy.route import Router

ENDPOINTS = {
    "openai": Endpoint("openai", "https://openai.test/v1", "OPENAI_API_KEY"),
    "mistral": Endpoint("mistral", "https://mistral.test/v1", "MISTRAL_API_KEY", ("MISTRAL_API_KEY",)),
    "groq": Endpoint("groq", "https://groq.test/v1", "GROQ_API_KEY"),
    "databricks": Endpoint("databricks", "", "DATABRICKS_API_KEY", ("DATABRICKS_BASE_URL", "DATABRICKS_API_KEY")),
    "vllm": Endpoint("vllm", "http://vllm.test/v1"),
    "dated": Endpoint("dated", "https://dated.test", api_version="2024-10-21"),
}


def router(default_provider: str | None = None) -> Router:
    return Router(ENDPOINTS, {"mistralai": "mistral"}, catalog.load(), default_provider)


def test_the_prefix_names_the_provider_and_the_rest_is_its_model() -> None:
    assert router().plan("groq/meta-llama/llama-4-scout").deployments == (
        Deployment("groq", "meta-llama/llama-4-scout", "https://groq.test/v1", "GROQ_API_KEY"),
    )


def test_a_deployment_knows_the_version_of_its_api() -> None:
    assert router().plan("dated/m").deployments == (
        Deployment("dated", "m", "https://dated.test", api_version="2024-10-21"),
    )


def test_a_bare_name_goes_to_its_maker() -> None:
    assert router().plan("gpt-4o-2024-08-06").deployments[0].model_id == "openai/gpt-4o-2024-08-06"


def test_a_bare_name_that_nobody_knows_goes_to_the_default_provider() -> None:
    assert router("vllm").plan("qwen3").deployments[0].model_id == "vllm/qwen3"


def test_the_default_provider_may_have_another_name_and_has_to_exist() -> None:
    with pytest.raises(NotConfigured, match="'mistral'"):
        router("mistralai").plan("qwen3")
    with pytest.raises(ConfigurationError, match="TIDEGATE_DEFAULT_PROVIDER names no known provider: 'opnai'"):
        router("opnai")


def test_a_maker_without_a_key_leaves_a_bare_name_to_the_default_provider() -> None:
    assert router("vllm").plan("mistral-large-latest").deployments[0].provider == "vllm"
    with pytest.raises(NotConfigured):
        router().plan("mistral-large-latest")


def test_a_provider_that_is_not_configured_says_what_to_set() -> None:
    with pytest.raises(NotConfigured, match="set DATABRICKS_BASE_URL and DATABRICKS_API_KEY"):
        router().plan("databricks/llama")
    with pytest.raises(NotConfigured, match="set MISTRAL_API_KEY"):
        router().plan("mistralai/mistral-small")


@pytest.mark.parametrize("name", ["nobody/gpt-4o", "openai/", "/gpt-4o", "/", "no such model"])
def test_a_name_that_leads_nowhere_is_a_404(name: str) -> None:
    with pytest.raises(ModelNotFound) as caught:
        router().plan(name)
    assert (caught.value.status, caught.value.param) == (404, "model")


def test_a_misspelt_name_is_answered_with_the_nearest_ones() -> None:
    with pytest.raises(ModelNotFound, match=r"openai/gpt-4\.1"):
        router().plan("opneai/gpt-4.1")
