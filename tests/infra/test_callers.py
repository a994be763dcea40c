"""How the template tells the function whose access tokens it takes."""

import json
import subprocess
from collections.abc import Callable

import pytest

from tests.infra.stack import ROOT, SAM_PYTHON, Stack

Deploy = Callable[..., Stack]

FUNCTIONS = "ChatFunction", "AdminFunction"
ISSUER = {"OidcIssuer": "https://issuer.example", "OidcAudience": "tidegate"}


def told(stack: Stack, function: str = "ChatFunction") -> dict[str, str]:
    variables = stack.properties(function)["Environment"]["Variables"]
    return {name: value for name, value in variables.items() if "OIDC" in name}


def test_without_an_issuer_the_function_is_told_of_none(stack: Stack) -> None:
    assert told(stack) == {}


@pytest.mark.parametrize(
    ("parameters", "more"),
    [
        ({}, {}),
        (
            {"OidcJwksUrl": "https://keys.example/k", "OidcWorkspacesClaim": "workspaces"},
            {
                "TIDEGATE_OIDC_JWKS_URL": "https://keys.example/k",
                "TIDEGATE_OIDC_WORKSPACES_CLAIM": "workspaces",
            },
        ),
    ],
)
def test_an_issuer_is_told_as_settings_reads_it(
    deploy: Deploy, parameters: dict[str, str], more: dict[str, str]
) -> None:
    known = {"TIDEGATE_OIDC_ISSUER": "https://issuer.example", "TIDEGATE_OIDC_AUDIENCE": "tidegate"}
    stack = deploy(**ISSUER, **parameters)
    assert [told(stack, function) for function in FUNCTIONS] == [{**known, **more}] * 2


def test_the_dashboard_is_told_which_client_it_is_at_the_issuer(deploy: Deploy) -> None:
    stack = deploy(**ISSUER, OidcClientId="dashboard", OidcScopes="openid offline_access")
    known, dashboard = (told(stack, function) for function in FUNCTIONS)
    client = {"TIDEGATE_OIDC_CLIENT_ID": "dashboard", "TIDEGATE_OIDC_SCOPES": "openid offline_access"}
    assert dashboard == {**known, **client}


@pytest.mark.parametrize(
    ("name", "given", "needed"),
    [
        ("OidcIssuerNeedsAudience", "OidcIssuer", "OidcAudience"),
        ("OidcClientIdNeedsIssuer", "OidcClientId", "OidcIssuer"),
    ],
)
def test_what_an_issuer_needs_is_asked_for_before_anything_is_deployed(name: str, given: str, needed: str) -> None:
    command = [str(SAM_PYTHON), str(ROOT / "tests/infra/transform.py"), str(ROOT / "template.yaml")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    rule = json.loads(done.stdout)["Rules"][name]
    assert rule["RuleCondition"] == {"Fn::Not": [{"Fn::Equals": [{"Ref": given}, ""]}]}
    assert rule["Assertions"][0]["Assert"] == {"Fn::Not": [{"Fn::Equals": [{"Ref": needed}, ""]}]}
