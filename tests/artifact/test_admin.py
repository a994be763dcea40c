"""The control plane's artifact, invoked by events of API Gateway."""

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.artifact.world import invoke, last_line, runs_here
from tests.clients.issuer import issuing
from tests.identity.issuing import AUDIENCE, token
from tests.store_worlds import aws_world

pytestmark = [pytest.mark.slow, runs_here]

EVENT = Path(__file__).parents[1] / "events" / "rest" / "models.json"


@pytest.mark.parametrize(("path", "kind"), [("/admin/v1/plans", "admin"), ("/console/v1/me", "API")])
async def test_who_has_no_key_is_refused_in_our_envelope(
    artifacts: Path, aws_endpoint: str, tmp_path: Path, path: str, kind: str
) -> None:
    answer = await answered(path, artifacts, aws_endpoint, tmp_path)
    error = json.loads(answer["body"])["error"]
    assert (answer["statusCode"], error["code"]) == (401, "invalid_api_key")
    assert error["message"].startswith(f"This {kind} key is not valid")
    assert set(error) == {"message", "type", "param", "code"}


async def test_the_dashboard_is_sent_as_text(artifacts: Path, aws_endpoint: str, tmp_path: Path) -> None:
    for name, content_type in (("index.html", "text/html"), ("app.js", "text/javascript"), ("style.css", "text/css")):
        answer = await answered(f"/console/{name}", artifacts, aws_endpoint, tmp_path)
        assert (answer["statusCode"], answer["isBase64Encoded"]) == (200, False)
        assert answer["headers"]["content-type"] == f"{content_type}; charset=utf-8"


async def test_an_access_token_is_verified(artifacts: Path, aws_endpoint: str, tmp_path: Path) -> None:
    with issuing() as issuer:
        now = time.time()
        env = {
            "TIDEGATE_OIDC_ISSUER": issuer.url,
            "TIDEGATE_OIDC_AUDIENCE": AUDIENCE,
            "TIDEGATE_OIDC_WORKSPACES_CLAIM": "workspaces",
        }
        good = token(iss=issuer.url, iat=now, exp=now + 600, workspaces="ws_gone")
        forged = token(iss=issuer.url, iat=now, exp=now + 600).rpartition(".")[0] + "." + good.rpartition(".")[2]
        accepted, refused = [
            await answered("/console/v1/me", artifacts, aws_endpoint, tmp_path, key, env) for key in (good, forged)
        ]
    assert (accepted["statusCode"], json.loads(accepted["body"])["workspaces"]) == (200, [])
    assert (refused["statusCode"], json.loads(refused["body"])["error"]["code"]) == (401, "invalid_token")


async def answered(
    path: str,
    artifacts: Path,
    aws_endpoint: str,
    tmp_path: Path,
    key: str = "sk-tidegate-nobody",
    more: Mapping[str, str] | None = None,
) -> Any:
    """The function's answer to a GET of `path`, by default with a key that opens nothing."""
    event = json.loads(EVENT.read_text())
    event |= {"path": path, "resource": f"/{path.split('/')[1]}/{{proxy+}}"}
    event["multiValueHeaders"] |= {"Authorization": [f"Bearer {key}"]}
    asked = tmp_path / "event.json"
    asked.write_text(json.dumps(event))
    async with aws_world(aws_endpoint) as world:
        assert world.store is not None
        env = {
            "AWS_REGION": "eu-central-1",
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_ENDPOINT_URL": aws_endpoint,
            "TIDEGATE_TABLE": world.store.table,
            **(more or {}),
        }
        return last_line(invoke(artifacts / "AdminFunction", "functions.admin.app.handler", asked, **env))


def test_the_control_planes_artifact_holds_no_tool_and_no_server(artifacts: Path) -> None:
    code = artifacts / "AdminFunction"
    assert {path.name for path in (code / "tidegate").iterdir()} & {"local", "cli", "runtime"} == set()
    assert {path.parent.name for path in (code / "functions").rglob("app.py")} == {"admin"}
    assert {path.name for path in code.iterdir()} & {"uvicorn", "boto3"} == set()
