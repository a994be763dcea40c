"""How the template tells the function whose access tokens it takes."""

import json
import subprocess
from collections.abc import Callable

import pytest

from tests.infra.stack import ROOT, SAM_PYTHON, Stack

Deploy = Callable[..., Stack]

ISSUER = {"OidcIssuer": "https://issuer.example", "OidcAudience": "tidegate"}


def told(stack: Stack) -> dict[str, str]:
    variables = stack.properties("ChatFunction")["Environment"]["Variables"]
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
    assert told(deploy(**ISSUER, **parameters)) == {**known, **more}


def test_an_issuer_without_an_audience_is_refused_before_anything_is_deployed() -> None:
    command = [str(SAM_PYTHON), str(ROOT / "tests/infra/transform.py"), str(ROOT / "template.yaml")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    rule = json.loads(done.stdout)["Rules"]["OidcIssuerNeedsAudience"]
    assert rule["RuleCondition"] == {"Fn::Not": [{"Fn::Equals": [{"Ref": "OidcIssuer"}, ""]}]}
    assert rule["Assertions"][0]["Assert"] == {"Fn::Not": [{"Fn::Equals": [{"Ref": "OidcAudience"}, ""]}]}
