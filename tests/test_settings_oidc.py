"""Which issuer's access tokens are taken, as the environment says."""

import pytest

from tidegate.domain.identity import OidcIssuer
from tidegate.errors import ConfigurationError
from tidegate.settings import Settings

NEEDED = {"TIDEGATE_TABLE": "t", "AWS_REGION": "eu-central-1"}
ISSUER = {"TIDEGATE_OIDC_ISSUER": "https://issuer.example", "TIDEGATE_OIDC_AUDIENCE": "tidegate"}


def issuer(**env: str) -> OidcIssuer | None:
    return Settings.from_env({**NEEDED, **env}).oidc


def faults(**env: str) -> str:
    with pytest.raises(ConfigurationError) as caught:
        issuer(**env)
    return caught.value.message


def test_without_an_issuer_there_are_keys_only() -> None:
    assert issuer() is None
    assert issuer(TIDEGATE_OIDC_ISSUER=" ", TIDEGATE_OIDC_AUDIENCE="") is None


def test_an_issuer_and_an_audience_are_enough() -> None:
    assert issuer(**ISSUER) == OidcIssuer("https://issuer.example", "tidegate")


def test_its_keys_and_its_claim_may_be_named() -> None:
    more = {"TIDEGATE_OIDC_JWKS_URL": "https://keys.example/k", "TIDEGATE_OIDC_WORKSPACES_CLAIM": "urn:x:workspaces"}
    expected = OidcIssuer("https://issuer.example", "tidegate", "https://keys.example/k", "urn:x:workspaces")
    assert issuer(**ISSUER, **more) == expected


def test_the_dashboard_may_be_a_client_of_it() -> None:
    known = issuer(**ISSUER, TIDEGATE_OIDC_CLIENT_ID="dashboard")
    assert known == OidcIssuer("https://issuer.example", "tidegate", client_id="dashboard", scopes="openid")
    more = issuer(**ISSUER, TIDEGATE_OIDC_CLIENT_ID="dashboard", TIDEGATE_OIDC_SCOPES="openid offline_access")
    assert more == OidcIssuer("https://issuer.example", "tidegate", None, None, "dashboard", "openid offline_access")


@pytest.mark.parametrize(
    "given", ["TIDEGATE_OIDC_AUDIENCE", "TIDEGATE_OIDC_WORKSPACES_CLAIM", "TIDEGATE_OIDC_CLIENT_ID"]
)
def test_what_is_missing_is_named(given: str) -> None:
    assert "TIDEGATE_OIDC_ISSUER is not set" in faults(**{given: "x"})
    assert faults(TIDEGATE_OIDC_ISSUER="https://issuer.example") == "TIDEGATE_OIDC_AUDIENCE is not set."


@pytest.mark.parametrize("url", ["http://issuer.example", "issuer.example", "https://", "http://127.0.0.1.example.com"])
def test_an_issuer_must_be_reached_safely(url: str) -> None:
    assert faults(**{**ISSUER, "TIDEGATE_OIDC_ISSUER": url}) == "TIDEGATE_OIDC_ISSUER must be an https URL."
    fault = "TIDEGATE_OIDC_JWKS_URL must be an https URL."
    assert faults(**ISSUER, TIDEGATE_OIDC_JWKS_URL=url) == fault


@pytest.mark.parametrize("url", ["http://127.0.0.1:9000", "http://localhost/realm", "http://[::1]:80/"])
def test_one_on_this_machine_is_safe(url: str) -> None:
    assert issuer(**{**ISSUER, "TIDEGATE_OIDC_ISSUER": url}) == OidcIssuer(url, "tidegate")
