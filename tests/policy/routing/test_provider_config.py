"""Which providers are configured, by the names of their settings."""

import pytest
from msgspec.structs import replace

from tidegate.domain.deployment import ProviderConfig
from tidegate.policy.routing.provider_config import load_provider_configs
from tidegate.providers import ProviderSpec, Registry
from tidegate.settings import EnvironmentSecrets

KNOWN = (
    ProviderSpec("acme", "https://acme.test/v1", "ACME_BASE_URL", "ACME_API_KEY"),
    ProviderSpec("hosted", None, "HOSTED_BASE_URL", "HOSTED_API_KEY"),
    ProviderSpec("local", "http://127.0.0.1:9/v1", "LOCAL_BASE_URL", None),
)


async def found(**env: str) -> dict[str, ProviderConfig]:
    return await load_provider_configs(KNOWN, EnvironmentSecrets(env))


async def test_what_is_missing_is_named() -> None:
    assert await found() == {
        "acme": ProviderConfig(
            "acme", "https://acme.test/v1", "ACME_API_KEY", ("ACME_API_KEY",), replaced_by_key=("ACME_API_KEY",)
        ),
        "hosted": ProviderConfig(
            "hosted", "", "HOSTED_API_KEY", ("HOSTED_BASE_URL", "HOSTED_API_KEY"), replaced_by_key=("HOSTED_API_KEY",)
        ),
        "local": ProviderConfig("local", "http://127.0.0.1:9/v1"),
    }


async def test_settings_win_over_defaults() -> None:
    ready = await found(
        ACME_API_KEY="k", ACME_BASE_URL="http://elsewhere/v1", HOSTED_API_KEY="k", HOSTED_BASE_URL="http://h"
    )
    assert ready["acme"] == ProviderConfig("acme", "http://elsewhere/v1", "ACME_API_KEY")
    assert ready["hosted"] == ProviderConfig("hosted", "http://h", "HOSTED_API_KEY")


async def test_a_key_that_is_not_needed_is_still_sent_when_it_is_set() -> None:
    assert (await found(LOCAL_API_KEY="k"))["local"].secret == "LOCAL_API_KEY"


async def test_the_version_of_an_api_is_set_where_it_has_several() -> None:
    dated = ProviderSpec("dated", "https://dated.test", "DATED_BASE_URL", None, version_setting="DATED_API_VERSION")
    env = EnvironmentSecrets({"DATED_API_VERSION": "2024-10-21", "ACME_API_VERSION": "1"})
    ready = await load_provider_configs((*KNOWN, dated), env)
    assert (ready["dated"].api_version, ready["acme"].api_version) == ("2024-10-21", None)


CLOUD = ProviderSpec(
    "cloud",
    "https://run.{region}.cloud.test",
    "CLOUD_URL",
    None,
    optional_key_setting="CLOUD_TOKEN",
    region_settings=("CLOUD_REGION", "REGION"),
    credential_settings=("ACCESS_KEY", "PROFILE"),
)


def settled(endpoint: ProviderConfig) -> ProviderConfig:
    """Where it is, without where it would be in another region: functions are not equal."""
    return replace(endpoint, regional_url=None)


async def cloud(**env: str) -> ProviderConfig:
    return settled((await load_provider_configs((CLOUD,), EnvironmentSecrets(env)))["cloud"])


async def test_a_region_goes_into_the_base_url() -> None:
    assert await cloud(REGION="eu-1", PROFILE="p") == ProviderConfig(
        "cloud", "https://run.eu-1.cloud.test", region="eu-1"
    )
    assert (await cloud(REGION="eu-1", CLOUD_REGION="us-1", PROFILE="p")).base_url == "https://run.us-1.cloud.test"


async def test_a_provider_without_key_and_credentials_says_which_would_do() -> None:
    assert (await cloud()).missing_settings == ("CLOUD_REGION or REGION", "CLOUD_TOKEN or ACCESS_KEY")


async def test_a_key_stands_in_for_credentials() -> None:
    found = await cloud(REGION="eu-1", CLOUD_TOKEN="t", CLOUD_URL="http://here")
    assert found == ProviderConfig("cloud", "http://here", "CLOUD_TOKEN", region="eu-1")


async def known(name: str, **env: str) -> ProviderConfig:
    return settled((await load_provider_configs(Registry().specs(), EnvironmentSecrets(env)))[name])


@pytest.mark.parametrize(
    ("location", "host"),
    [
        ("europe-west4", "europe-west4-aiplatform.googleapis.com"),
        ("eu", "aiplatform.eu.rep.googleapis.com"),
        ("global", "aiplatform.googleapis.com"),
    ],
)
async def test_vertex_is_where_its_project_and_location_are(location: str, host: str) -> None:
    settings = {"GOOGLE_VERTEX_PROJECT": "p", "GOOGLE_VERTEX_LOCATION": location, "GOOGLE_VERTEX_CREDENTIALS": "{}"}
    url = f"https://{host}/v1/projects/p/locations/{location}"
    assert await known("vertex", **settings) == ProviderConfig("vertex", url, "VERTEX_API_KEY", (), location)


async def test_vertex_names_all_that_it_needs() -> None:
    assert (await known("vertex")).missing_settings == (
        "GOOGLE_VERTEX_PROJECT or GOOGLE_CLOUD_PROJECT",
        "GOOGLE_VERTEX_LOCATION or GOOGLE_CLOUD_LOCATION",
        "VERTEX_API_KEY or GOOGLE_VERTEX_CREDENTIALS",
    )
    assert (await known("vertex", VERTEX_BASE_URL="http://v", VERTEX_API_KEY="t")).missing_settings == ()


@pytest.mark.parametrize("key", ["AIzaSy-not-a-key", "AQ.not-a-key"])
async def test_an_api_key_of_vertex_needs_no_project(key: str) -> None:
    config = await known("vertex", VERTEX_API_KEY=key)
    assert (config.base_url, config.missing_settings) == ("https://aiplatform.googleapis.com/v1", ())
    project = {"GOOGLE_VERTEX_PROJECT": "p", "GOOGLE_VERTEX_LOCATION": "eu", "VERTEX_API_KEY": key}
    assert "/projects/p/" in (await known("vertex", **project)).base_url


@pytest.mark.parametrize("token", ["ya29.not-a-token", '{"type": "service_account"}'])
async def test_a_token_of_vertex_needs_a_project(token: str) -> None:
    assert len((await known("vertex", VERTEX_API_KEY=token)).missing_settings) == 2


async def test_bedrock_needs_a_region_and_the_processs_credentials_or_a_key() -> None:
    assert (await known("bedrock")).missing_settings == (
        "BEDROCK_REGION or AWS_REGION or AWS_DEFAULT_REGION",
        "AWS_BEARER_TOKEN_BEDROCK or AWS_ACCESS_KEY_ID",
    )
    url = "https://bedrock-runtime.eu-west-1.amazonaws.com"
    role = await known("bedrock", AWS_REGION="eu-west-1", AWS_ACCESS_KEY_ID="a")
    assert role == ProviderConfig("bedrock", url, None, (), "eu-west-1")
    key = await known("bedrock", AWS_REGION="eu-west-1", AWS_BEARER_TOKEN_BEDROCK="b")
    assert key == ProviderConfig("bedrock", url, "AWS_BEARER_TOKEN_BEDROCK", (), "eu-west-1")
    elsewhere = await known("bedrock", AWS_ENDPOINT_URL_BEDROCK_RUNTIME="http://b", AWS_ACCESS_KEY_ID="a")
    assert elsewhere.missing_settings == ("BEDROCK_REGION or AWS_REGION or AWS_DEFAULT_REGION",)


async def test_azure_has_a_version_of_its_api() -> None:
    settings = {"AZURE_OPENAI_BASE_URL": "https://a", "AZURE_OPENAI_API_KEY": "k", "AZURE_OPENAI_API_VERSION": "v"}
    assert await known("azure", **settings) == ProviderConfig(
        "azure", "https://a", "AZURE_OPENAI_API_KEY", (), None, "v"
    )


async def url_in(provider: str, region: str, **env: str) -> str | None:
    found = (await load_provider_configs(Registry().specs(), EnvironmentSecrets(env)))[provider]
    return found.regional_url(region) if found.regional_url else None


async def test_another_region_has_another_base_url() -> None:
    assert (
        await url_in("bedrock", "eu-west-1", AWS_REGION="us-east-1")
        == "https://bedrock-runtime.eu-west-1.amazonaws.com"
    )
    vertex = await url_in("vertex", "eu", GOOGLE_VERTEX_PROJECT="p")
    assert vertex == "https://aiplatform.eu.rep.googleapis.com/v1/projects/p/locations/eu"
    assert await url_in("openai", "eu-west-1") is None


async def test_a_base_url_that_was_chosen_is_the_same_in_all_regions() -> None:
    assert await url_in("bedrock", "eu-west-1", AWS_ENDPOINT_URL_BEDROCK_RUNTIME="http://b") == "http://b"


async def test_what_a_region_or_a_key_would_make_up_for_is_told() -> None:
    bare = await known("vertex")
    assert bare.replaced_by_region == ("GOOGLE_VERTEX_LOCATION or GOOGLE_CLOUD_LOCATION",)
    assert bare.replaced_by_key == ("VERTEX_API_KEY or GOOGLE_VERTEX_CREDENTIALS",)
