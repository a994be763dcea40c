"""The line of infra/DEPLOY.md that invokes the built function, with the files that it names, in AWS's emulator."""

import json
import platform
import shlex
import subprocess
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest

from tests.artifact.world import SAM, Site, awss_emulator, emulated_batch_function, site
from tests.clients.world import serving
from tests.emulators.process import ROOT
from tests.infra.stack import deployed

pytestmark = pytest.mark.slow

LINES = (ROOT / "infra/DEPLOY.md").read_text().splitlines()


def words_of(start: str) -> list[str]:
    """The words of the only line that starts so."""
    (line,) = (line for line in LINES if line.startswith(start))
    return shlex.split(line, comments=True)


def value(words: list[str], option: str) -> str:
    return words[words.index(option) + 1]


def env_variables(words: list[str]) -> dict[str, str]:
    return json.loads((ROOT / value(words, "--env-vars")).read_text())[words[3]]


@pytest.mark.parametrize("function", ["ChatFunction", "BatchFunction"])
def test_sam_passes_the_variables_that_the_documents_set(function: str) -> None:
    """It drops those that the template does not have: see samcli/local/lambdafn/env_vars.py."""
    words = words_of(f"sam local invoke {function} ")
    overrides = dict(word.split("=", 1) for word in words if "=" in word and not word.startswith("-"))
    stack = deployed(AwsEndpoint=overrides["AwsEndpoint"])
    variables: dict[str, Any] = stack.properties(function)["Environment"]["Variables"]
    assert env_variables(words).keys() <= variables.keys()
    assert variables["AWS_ENDPOINT_URL"] == "http://host.docker.internal:8001"
    assert "AWS_ENDPOINT_URL" not in deployed().properties(function)["Environment"]["Variables"]


@pytest.mark.skipif(
    (platform.system(), platform.machine()) != ("Linux", "x86_64"), reason="the emulators are x86_64 Linux programs"
)
async def test_the_invocation_answers_200(built: Site) -> None:
    start, words = words_of("TIDEGATE_DEMO_KEY="), words_of("sam local invoke ChatFunction ")
    setting, key = start[0].split("=")
    event = json.loads((ROOT / value(words, "-e")).read_text())
    with serving(*start[start.index("serve") + 1 :], "--embedded-port", "0", env={setting: key}) as (program, _):
        port = program.said("DynamoDB").rpartition(":")[2]
        more = {
            **env_variables(words),
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
            "AWS_REGION": value(words, "--region"),
            "AWS_SAM_LOCAL": "true",
        }
        async with awss_emulator(built, **more) as url, httpx.AsyncClient(trust_env=False, timeout=30) as client:
            reply = (await client.post(url, json=event)).json()
    assert reply["statusCode"] == 200, reply
    assert json.loads(reply["body"])["object"] == "list"


@pytest.mark.skipif(
    (platform.system(), platform.machine()) != ("Linux", "x86_64"), reason="the emulators are x86_64 Linux programs"
)
async def test_the_invocation_of_the_batch_function_answers_each_request(
    artifacts: Path, aws_endpoint: str, tmp_path: Path
) -> None:
    start, words = words_of("TIDEGATE_DEMO_KEY="), words_of("sam local invoke BatchFunction ")
    event = json.loads((ROOT / value(words, "-e")).read_text())
    async with site(artifacts / "BatchFunction", aws_endpoint, tmp_path) as built:
        with serving(*start[start.index("serve") + 1 :], "--embedded-port", "0") as (program, _):
            port = program.said("DynamoDB").rpartition(":")[2]
            endpoint = f"http://127.0.0.1:{port}"
            more = {
                **{
                    name: text.replace("host.docker.internal:8001", f"127.0.0.1:{port}")
                    for name, text in env_variables(words).items()
                },
                "AWS_ENDPOINT_URL": endpoint,
                "AWS_REGION": value(words, "--region"),
            }
            sqs = boto3.client("sqs", endpoint_url=endpoint, region_name=value(words, "--region"))
            sqs.create_queue(QueueName=words_of("aws --endpoint-url http://127.0.0.1:8001 --region us-east-1 sqs ")[-1])
            async with (
                emulated_batch_function(built, tmp_path, **more) as url,
                httpx.AsyncClient(trust_env=False, timeout=60) as client,
            ):
                reply = (await client.post(url, json=event)).json()
                swept = (await client.post(url, json={"detail-type": "Scheduled Event"})).json()
    assert [result["custom_id"] for result in reply["results"]] == ["tide-1", "tide-2"]  # no provider has a key
    assert {result["response"]["body"]["error"]["code"] for result in reply["results"]} == {"provider_not_configured"}
    assert swept == {}


@pytest.mark.skipif(not SAM.exists(), reason="there is no SAM CLI: make setup")
@pytest.mark.parametrize("line", [line for line in LINES if line.startswith("sam ")])
def test_sam_has_the_options_that_the_documents_show(line: str) -> None:
    words = shlex.split(line, comments=True)
    options = {word for word in words if word.startswith("-")}
    command = [word for word in words[1:3] if not word.startswith("-")] if words[1] != "local" else words[1:3]
    done = subprocess.run([str(SAM), *command, "--help"], capture_output=True, text=True, check=True)
    assert [option for option in options if option not in done.stdout.split() and f"{option}," not in done.stdout] == []
