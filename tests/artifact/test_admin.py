"""The control plane's artifact, invoked by events of API Gateway."""

import json
from pathlib import Path

import pytest

from tests.artifact.world import invoke, last_line, runs_here
from tests.store_worlds import aws_world

pytestmark = [pytest.mark.slow, runs_here]

EVENT = Path(__file__).parents[1] / "events" / "rest" / "models.json"


async def test_who_has_no_admin_key_is_refused_in_our_envelope(
    artifacts: Path, aws_endpoint: str, tmp_path: Path
) -> None:
    event = json.loads(EVENT.read_text())
    event |= {"path": "/admin/v1/plans", "resource": "/admin/{proxy+}"}
    event["multiValueHeaders"] |= {"Authorization": ["Bearer sk-tidegate-nobody"]}
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
        }
        answer = last_line(invoke(artifacts / "AdminFunction", "functions.admin.app.handler", asked, **env))
    error = json.loads(answer["body"])["error"]
    assert (answer["statusCode"], error["code"]) == (401, "invalid_api_key")
    assert set(error) == {"message", "type", "param", "code"}


def test_the_control_planes_artifact_holds_no_tool_and_no_server(artifacts: Path) -> None:
    code = artifacts / "AdminFunction"
    assert {path.name for path in (code / "tidegate").iterdir()} & {"local", "cli", "runtime"} == set()
    assert {path.parent.name for path in (code / "functions").rglob("app.py")} == {"admin"}
    assert {path.name for path in code.iterdir()} & {"uvicorn", "boto3"} == set()
