"""Every provider by its name, and those of the operator's own."""

import subprocess
import sys
from typing import Any

import pytest

from tests.providers.calls import asking, sent
from tidegate.catalog.names import PROVIDER_ALIASES
from tidegate.catalog.row import DeclaredModel
from tidegate.errors import ConfigurationError
from tidegate.json import Json
from tidegate.providers import ProviderSpec, Registry
from tidegate.providers.compatible import ROWS
from tidegate.providers.compatible_row import Row
from tidegate.providers.openai.quirks import ModelRule, Quirks
from tidegate.providers.operator_rows import parse_rows


def test_the_list_of_providers_imports_none_of_them() -> None:
    code = (
        "import sys; from tidegate.providers import Registry; Registry().specs();"
        "print(sorted(m for m in sys.modules if m.startswith('tidegate.providers.')))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    for module in ("openai.provider", "anthropic", "gemini", "bedrock", "cohere", "azure", "stream", "botocore"):
        assert f"tidegate.providers.{module}" not in found


def test_what_a_provider_needs_is_known_before_it_is_loaded() -> None:
    known = {one.name: one for one in Registry().specs()}
    assert known["openai"] == ProviderSpec("openai", "https://api.openai.com/v1", "OPENAI_BASE_URL", "OPENAI_API_KEY")
    azure = ProviderSpec(
        "azure", None, "AZURE_OPENAI_BASE_URL", "AZURE_OPENAI_API_KEY", version_setting="AZURE_OPENAI_API_VERSION"
    )
    assert known["azure"] == azure
    assert known["vllm"] == ProviderSpec("vllm", None, "VLLM_BASE_URL", None)
    assert len(known) >= 35


def test_an_alias_leads_to_a_known_provider() -> None:
    assert set(PROVIDER_ALIASES.values()) <= {one.name for one in Registry().specs()}
    assert not PROVIDER_ALIASES.keys() & {one.name for one in Registry().specs()}
    assert Registry().load("together_ai").name == "together"
    assert Registry().load("azure_ai").name == "azure"


def test_a_providers_own_name_wins_over_an_alias() -> None:
    registry = Registry([Row("azure_ai", "https://models.example/v1")])
    assert registry.load("azure_ai").name == "azure_ai"
    assert registry.aliases() == {alias: name for alias, name in PROVIDER_ALIASES.items() if alias != "azure_ai"}


@pytest.mark.parametrize("name", sorted(ROWS))
def test_a_row_loads(name: str) -> None:
    registry = Registry()
    assert registry.load(name).name == name
    assert registry.load(name) is registry.load(name)
    assert registry.load(name).framing == "sse"


def test_a_name_that_nobody_has_is_a_configuration_error() -> None:
    with pytest.raises(ConfigurationError, match="'nobody' is not a known provider"):
        Registry().load("nobody")


def test_a_configured_provider_is_a_row_like_any_other() -> None:
    found = parse_rows(
        [
            {"name": "my-host", "base_url": "https://host.invalid/v1/", "quirks": "vllm"},
            {"name": "other", "base_url": "http://10.0.0.1:8000/v1", "key": None},
            {
                "name": "third",
                "base_url": "https://third.invalid",
                "key": "THIRD_SECRET",
                "quirks": {"like": "mistral", "stream_usage": True, "models": [{"pattern": "^r", "reasoning": "none"}]},
            },
        ]
    )
    third = ROWS["mistral"].quirks
    assert found[:2] == (
        Row("my-host", "https://host.invalid/v1", ROWS["vllm"].quirks, ""),
        Row("other", "http://10.0.0.1:8000/v1", Quirks(), None),
    )
    assert found[2].key_setting == "THIRD_SECRET"
    assert found[2].quirks.stream_usage is True
    assert found[2].quirks.models == (ModelRule("^r", reasoning="none"),)
    assert found[2].quirks.tool_id_length == third.tool_id_length
    registry = Registry(found)
    assert registry.load("my-host").name == "my-host"
    assert ProviderSpec("my-host", "https://host.invalid/v1", "MY_HOST_BASE_URL", "MY_HOST_API_KEY") in registry.specs()


def test_an_entry_declares_models_of_its_own_provider_or_of_a_built_in_one() -> None:
    models = (DeclaredModel("qwen3"), DeclaredModel("big", ("b",)))
    declared: Json = ["qwen3", {"name": "big", "aliases": ["b"]}]
    entries: Json = [
        {"name": "mine", "base_url": "https://mine.invalid/v1", "models": declared},
        {"name": "anthropic", "models": ["claude-next"]},
        {"name": "grok", "models": ["grok-next"]},
    ]
    found = parse_rows(entries)
    assert found == (
        Row("mine", "https://mine.invalid/v1", models=models),
        Row("anthropic", None, models=(DeclaredModel("claude-next"),), only_models=True),
        Row("xai", None, models=(DeclaredModel("grok-next"),), only_models=True),
    )
    assert [spec for spec in Registry(found).specs() if spec.name != "mine"] == list(Registry().specs())


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        (1, "must be an object"),
        ({"name": "My Host", "base_url": "https://h/v1"}, "name 'My Host'"),
        ({"name": "h"}, "base_url of 'h'"),
        ({"name": "h", "models": ["m"]}, "base_url of 'h'"),
        ({"name": "openai", "models": ["m"], "key": "K"}, "base_url of 'openai'"),
        ({"name": "openai", "models": [{"name": "m", "prices": {}}]}, "models[0].prices.input: prices need"),
        ({"name": "h", "base_url": "ftp://h"}, "base_url of 'h'"),
        ({"name": "h", "base_url": "https://h/v1?key=1"}, "without a query"),
        ({"name": "h", "base_url": "https://h/v1", "key": "sk-not a setting"}, "never the key itself"),
        ({"name": "h", "base_url": "https://h/v1", "api_key": "X"}, "unknown field 'api_key'"),
        ({"name": "h", "base_url": "https://h/v1", "quirks": 1}, "quirks must be"),
        ({"name": "h", "base_url": "https://h/v1", "quirks": "nobody"}, "'nobody' is not a built-in provider"),
        ({"name": "h", "base_url": "https://h/v1", "quirks": {"loud": True}}, "unknown quirk 'loud'"),
        ({"name": "h", "base_url": "https://h/v1", "quirks": {"stream_usage": "yes"}}, "Expected `bool`"),
        ({"name": "h", "base_url": "https://h/v1", "quirks": {"reasoning": "loud"}}, "Invalid enum value 'loud'"),
        ({"name": "h", "base_url": "https://h/v1", "quirks": {"models": [{"pattern": "("}]}}, "quirks: "),
    ],
)
def test_a_faulty_entry_is_explained(entry: Any, said: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_rows([entry])
    assert caught.value.message.startswith("TIDEGATE_PROVIDERS[0]: ")
    assert said in caught.value.message


def test_all_faults_are_named_at_once() -> None:
    fine = {"name": "h", "base_url": "https://h/v1"}
    with pytest.raises(ConfigurationError) as caught:
        parse_rows([1, fine, fine, {"name": 2}])
    for said in ("[0]", "[3]", "'h' is used twice"):
        assert said in caught.value.message


def test_a_list_that_is_none_is_explained() -> None:
    with pytest.raises(ConfigurationError, match="must be a JSON list"):
        parse_rows({})


def test_an_entry_never_repeats_a_key_in_its_message() -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_rows([{"name": "h", "base_url": "https://h/v1", "key": "a secret value"}])
    assert "a secret value" not in caught.value.message


@pytest.mark.parametrize("name", sorted(one.name for one in Registry().specs()))
def test_nobody_reports_that_reasoning_is_left_out_since_the_gateway_does_it(name: str) -> None:
    _, ignored = sent(Registry().load(name), asking(reasoning={"effort": "high", "exclude": True}))
    assert "reasoning.exclude" not in ignored


@pytest.mark.parametrize("user", ["someone@example.com", "Some One <someone@example.com>"])
@pytest.mark.parametrize("name", sorted(one.name for one in Registry().specs()))
def test_nobody_is_told_an_email_address(name: str, user: str) -> None:
    body, ignored = sent(Registry().load(name), asking(user=user))
    assert "example.com" not in str(body)
    assert "user" in ignored


@pytest.mark.parametrize("name", sorted(one.name for one in Registry().specs()))
def test_what_asks_for_nothing_is_not_reported(name: str) -> None:
    nothing: dict[str, Any] = {
        "n": 1,
        "logit_bias": {},
        "logprobs": False,
        "top_logprobs": 0,
        "stop": [],
        "store": False,
    }
    nothing |= {
        "modalities": ["text"],
        "verbosity": "medium",
        "service_tier": "auto",
        "response_format": {"type": "text"},
    }
    assert sent(Registry().load(name), asking(**nothing))[1] == ()
