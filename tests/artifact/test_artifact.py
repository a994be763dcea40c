"""What `sam build` makes, and that it runs: in front of our model of API Gateway, cargo-lambda and AWS's emulator."""

import asyncio
import json
import os
import platform
import stat
import struct
import subprocess
import zipfile
from dataclasses import replace
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import httpx
import pytest

from infra.artifact import find_python
from infra.sbom import create_bill
from tests.artifact.world import (
    HOST_ARCHITECTURE,
    MODEL,
    SECRET,
    USAGE,
    WORKSPACE,
    Site,
    awss_emulator,
    behind,
    runs_here,
    sam_build,
    web_adapters_command,
)
from tests.emulators.cargo_lambda import cargo_lambda
from tests.emulators.gateway import Gateway, running
from tests.identity.google_account import PEM
from tests.identity.issuing import public_ec, public_rsa, token

EVENTS = Path(__file__).parents[1] / "events"
AUTHORIZATION = {"authorization": f"Bearer {SECRET}"}
BODY = {"model": MODEL, "messages": [{"role": "user", "content": "Write a tagline for an AI content platform."}]}
MEGABYTE = 1_000_000
ELF_MACHINES = {"x86_64": 62, "arm64": 183}

# A build takes a minute, and several on a machine that does other work as well.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
needs_binaries = pytest.mark.skipif(
    (platform.system(), platform.machine()) != ("Linux", "x86_64"), reason="the emulators are x86_64 Linux programs"
)


@pytest.fixture(scope="session", params=["arm64", "x86_64"])
def either(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, artifact: Path
) -> tuple[str, Path]:
    """The architecture, and the artifact for it."""
    if request.param == HOST_ARCHITECTURE:
        return request.param, artifact
    return request.param, sam_build(request.param, tmp_path_factory.mktemp("other")) / "ChatFunction"


def client(base_url: str = "") -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=base_url, trust_env=False, timeout=30)


def deltas(stream: str) -> list[Any]:
    """The text of a stream's chunks, then its usage and end."""
    found: list[Any] = []
    for line in stream.split("\n\n"):
        match json.loads(line[6:]) if line.startswith("data: {") else line:
            case {"choices": [{"delta": {"content": str(text)}}]} if text:
                found.append(text)
            case {"choices": [], "usage": {"completion_tokens": int(tokens)}}:
                found.append(tokens)
            case "data: [DONE]":
                found.append("[DONE]")
            case _:
                pass
    return found


async def stream_one_piece_at_a_time(client: httpx.AsyncClient, site: Site) -> list[Any]:
    """The deltas of a streamed call whose provider waits until its first one has been read."""
    body = BODY | {"stream": True, "stream_options": {"include_usage": True}}
    async with client.stream("POST", "/v1/chat/completions", json=body, headers=AUTHORIZATION) as response:
        assert response.status_code == 200, await response.aread()
        assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
        pieces, text = response.aiter_text(), ""
        while "High " not in text:
            text += await anext(pieces)
        assert not site.provider.gate.is_set()
        site.provider.gate.set()
        async for piece in pieces:
            text += piece
    return deltas(text)


def rest_event(name: str, body: dict[str, Any]) -> dict[str, Any]:
    """A real event with our key and body."""
    event = json.loads((EVENTS / "rest" / f"{name}.json").read_text())
    event["headers"] |= {"Authorization": f"Bearer {SECRET}", "x-workspace-id": WORKSPACE}
    event["multiValueHeaders"] |= {"Authorization": [f"Bearer {SECRET}"], "x-workspace-id": [WORKSPACE]}
    return event | {"body": json.dumps(body)}


def test_the_zip_is_small(either: tuple[str, Path], tmp_path: Path) -> None:
    _, folder = either
    target = tmp_path / "function.zip"
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.rglob("*")):
            archive.write(path, path.relative_to(folder))
    # 8.1 MB are libraries. The rest grows with the code, which is there twice, and thrice what a first call loads.
    assert target.stat().st_size <= 12.5 * MEGABYTE


def test_every_module_is_precompiled_for_lambdas_python_and_never_checked(either: tuple[str, Path]) -> None:
    _, folder = either
    sources = list(folder.rglob("*.py"))
    assert {path.relative_to(folder).parts[0] for path in sources} == {"functions", "tidegate"}
    compiled = [path.parent / "__pycache__" / f"{path.stem}.cpython-313.pyc" for path in sources]
    libraries = [path for path in folder.rglob("*.pyc") if path.parent.name != "__pycache__"]
    assert [path for path in compiled if not path.exists()] == []
    headers = {path.read_bytes()[:8] for path in (*compiled, *libraries)}
    # PEP 552: a hash instead of a time, and the flag that the source is not looked at. The number is Python 3.13's.
    assert {struct.unpack("<HxxI", header) for header in headers} == {(3571, 0b01)}


def test_the_wheels_are_those_of_the_architecture(either: tuple[str, Path]) -> None:
    architecture, folder = either
    machines = {struct.unpack("<H", path.read_bytes()[18:20])[0] for path in folder.rglob("*.so")}
    assert machines == {ELF_MACHINES[architecture]}


def test_the_artifact_holds_the_data_plane_and_nothing_else(artifact: Path) -> None:
    names = {path.name for path in artifact.iterdir() if not path.name.endswith(".dist-info")}
    backends = {name for name in names if name.startswith("_cffi_backend.")}  # its name holds the architecture
    assert len(backends) == 1
    assert names - backends == {
        *("functions", "tidegate", "bootstrap.sh", "run.sh", "revision.txt", "bytecode.cpython-313.bin"),
        *("starlette", "anyio", "idna", "msgspec", "httptools", "certifi", "typing_extensions.pyc"),
        *("httpx", "httpcore"),  # the other transport, which is a parameter away
        *("jwt", "cryptography"),  # loaded with the first access token
        "regex",  # loaded with the first guardrail that has patterns
        *("uvicorn", "h11", "click"),  # for the web adapter, which is a parameter away
    }
    assert {path.name for path in (artifact / "functions").rglob("*.py")} == {"__init__.py", "app.py"}
    assert {path.name for path in (artifact / "tidegate").iterdir()} & {"local", "cli", "control"} == set()
    assert not (artifact / "tidegate" / "api" / "admin").exists()


def test_the_bill_of_materials_lists_what_is_in_the_artifact(artifact: Path) -> None:
    found = distributions(path=[str(artifact)])
    packages = {(each.name.lower().replace("_", "-"), each.version) for each in found}
    assert packages == {(each["name"], each["version"]) for each in create_bill("chat")["components"]}


def test_lambdas_user_can_read_everything_and_run_the_scripts(artifact: Path) -> None:
    modes = {stat.S_IMODE(path.stat().st_mode) for path in artifact.rglob("*") if path.is_file()}
    scripts = {path.name for path in artifact.rglob("*") if path.is_file() and os.access(path, os.X_OK)}
    assert modes == {0o644, 0o755}
    assert scripts == {"bootstrap.sh", "run.sh"}


def test_the_same_checkout_builds_the_same_bytes(artifact: Path, tmp_path: Path) -> None:
    again = sam_build(HOST_ARCHITECTURE, tmp_path) / "ChatFunction"

    def contents(folder: Path) -> dict[str, bytes]:
        return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    first, second = contents(artifact), contents(again)
    assert {name for name in first.keys() | second.keys() if first.get(name) != second.get(name)} == set()


@runs_here
async def test_the_api_gateway_model_gets_whole_and_streamed_answers_and_each_is_metered(built: Site) -> None:
    async with running(Gateway()) as gateway, behind(gateway.runtime_api, built), client(gateway.url) as http:
        plain = await http.post("/v1/chat/completions", json=BODY, headers=AUTHORIZATION)
        streamed = await stream_one_piece_at_a_time(http, built)
        calls = await built.calls(2)
    completion = plain.json()
    assert plain.status_code == 200
    assert completion["choices"][0]["message"]["content"] == "High tide."
    assert {name: completion["usage"][name] for name in USAGE} == USAGE
    assert completion["usage"]["words_used"] == 9
    assert streamed == ["High ", "tide.", 12, "[DONE]"]
    assert [authorization for authorization, _ in built.provider.requests] == ["Bearer upstream-key"] * 2
    metered = [{name: call[name] for name in ("status", "stream", "provider", "output_tokens")} for call in calls]
    call = {"status": "ok", "provider": "openai", "output_tokens": 12}
    assert metered == [call | {"stream": True}, call | {"stream": False}]
    assert gateway.violations == []


@runs_here
async def test_the_api_gateway_model_gets_refusals_in_our_envelope(built: Site) -> None:
    async with running(Gateway()) as gateway, behind(gateway.runtime_api, built), client(gateway.url) as http:
        foreign = {"authorization": "Bearer sk-tidegate-nobody"}
        refused = await http.post("/v1/chat/completions", json=BODY, headers=foreign)
        nowhere = await http.get("/v1/nothing", headers=AUTHORIZATION)
        wrong = await http.get("/v1/chat/completions", headers=AUTHORIZATION)
        healthy = await http.get("/health")
    codes = [(reply.status_code, reply.json()["error"]["code"]) for reply in (refused, nowhere, wrong)]
    assert codes == [(401, "invalid_api_key"), (404, "not_found"), (405, "method_not_allowed")]
    assert (healthy.status_code, healthy.json()["status"]) == (200, "ok")
    assert (built.provider.requests, gateway.violations) == ([], [])


@needs_binaries
async def test_cargo_lambda_delivers_each_piece_before_the_provider_sends_the_next(built: Site, tmp_path: Path) -> None:
    scratch = tmp_path / "project"
    scratch.mkdir()
    async with cargo_lambda(scratch) as emulator, behind(emulator.runtime_api, built), client(emulator.url) as http:
        streamed = await stream_one_piece_at_a_time(http, built)
        plain = await http.post("/v1/chat/completions", json=BODY, headers=AUTHORIZATION)
        refused = await http.post("/v1/chat/completions", json=BODY)
        calls = await built.calls(2)
    assert streamed == ["High ", "tide.", 12, "[DONE]"]
    assert plain.json()["choices"][0]["message"]["content"] == "High tide."
    assert (refused.status_code, refused.json()["error"]["code"]) == (401, "invalid_api_key")
    assert [call["status"] for call in calls] == ["ok", "ok"]


@needs_binaries
async def test_awss_emulator_takes_the_streamed_answer(built: Site) -> None:
    built.provider.gate.set()
    async with awss_emulator(built) as url, client() as http:
        answer = await http.post(url, json=rest_event("chat", BODY | {"stream": True}))
        calls = await built.calls(1)
    prelude, body = answer.content.split(bytes(8))
    assert json.loads(prelude)["statusCode"] == 200
    assert deltas(body.decode()) == ["High ", "tide.", "[DONE]"]
    assert [(call["status"], call["stream"]) for call in calls] == [("ok", True)]


@needs_binaries
async def test_sam_local_gets_an_ordinary_proxy_response(built: Site) -> None:
    built.provider.gate.set()
    async with awss_emulator(built, AWS_SAM_LOCAL="true") as url, client() as http:
        plain = (await http.post(url, json=rest_event("chat", BODY))).json()
        streamed = (await http.post(url, json=rest_event("chat", BODY | {"stream": True}))).json()
        calls = await built.calls(2)
    assert set(plain) - {"multiValueHeaders"} == {"statusCode", "headers", "body", "isBase64Encoded"}
    assert (plain["statusCode"], plain["isBase64Encoded"]) == (200, False)
    assert json.loads(plain["body"])["choices"][0]["message"]["content"] == "High tide."
    assert streamed["headers"]["content-type"] == "text/event-stream; charset=utf-8"
    assert deltas(streamed["body"]) == ["High ", "tide.", "[DONE]"]
    assert [call["status"] for call in calls] == ["ok", "ok"]


@runs_here
async def test_what_the_web_adapter_starts_streams_too(built: Site) -> None:
    async with web_adapters_command(built) as url, client(url) as http:
        healthy = await http.get("/health")
        streamed = await stream_one_piece_at_a_time(http, built)
        calls = await built.calls(1)
    assert healthy.status_code == 200
    assert streamed == ["High ", "tide.", 12, "[DONE]"]
    assert [call["status"] for call in calls] == ["ok"]


_FIRST_CALL = """
import json, sys
from tidegate.runtime.bundle import import_from_bundle
before = set(sys.modules)
is_bundled = import_from_bundle(sys.argv[1])
import tidegate.runtime.process, functions.chat.app, tidegate.providers.openai.stream, tidegate.api.stream
ours = {name: module for name, module in sys.modules.items() if name not in before and name.startswith("tidegate")}
found = {name for name, module in ours.items() if type(module.__spec__.loader).__name__ != "_BundleLoader"}
print(json.dumps([is_bundled, len(ours) > 100, sorted(found), [ours["tidegate.gateway"].__file__]]))
"""


@runs_here
def test_a_first_call_loads_its_modules_from_one_file(artifact: Path) -> None:
    command = [str(find_python()), "-S", "-c", _FIRST_CALL, str(artifact)]
    env = {"TIDEGATE_TABLE": "tidegate", "AWS_REGION": "eu-central-1", "PYTHONPATH": str(artifact)}
    done = subprocess.run(command, env=env, cwd="/", capture_output=True, text=True)
    assert done.stderr == ""
    assert json.loads(done.stdout) == [True, True, [], [str(artifact / "tidegate" / "gateway.py")]]


@runs_here
async def test_a_start_without_settings_names_what_is_missing(built: Site) -> None:
    bare = {name: built.environment[name] for name in ("PATH", "LAMBDA_TASK_ROOT")}
    async with running(Gateway()) as gateway, behind(gateway.runtime_api, replace(built, environment=bare)):
        async with asyncio.timeout(10):
            while not gateway.init_errors:  # noqa: ASYNC110, the model has no event for it
                await asyncio.sleep(0.02)
    (failed,) = gateway.init_errors
    assert failed.error_type == "Runtime.ConfigurationError"
    assert failed.report["errorMessage"] == "TIDEGATE_TABLE is not set; AWS_REGION is not set."


_TOKENS = """
import json, sys
from tidegate.identity.access_token import parse_token
from tidegate.identity.key_set import parse_key_set
from tidegate.identity.service_account import create_assertion
asked = json.load(sys.stdin)
keys = {key.id: key.public_key for key in parse_key_set(asked["keys"])}
print([parse_token(text).is_signed_by(keys[id]) for id, text in asked["tokens"]])
print(create_assertion({"iss": "somebody"}, asked["pem"], None).count("."))
"""


@runs_here
def test_the_artifact_verifies_and_signs_tokens(artifact: Path) -> None:
    """The libraries are stripped of what they do not load, so that this must run on exactly what is deployed."""
    forged = token(sub="another").rpartition(".")[0] + "." + token().rpartition(".")[2]
    tokens = [("rsa", token()), ("rsa", token("PS256")), ("ec", token("ES256")), ("rsa", forged)]
    asked = json.dumps({"keys": {"keys": [public_rsa(), public_ec()]}, "tokens": tokens, "pem": PEM})
    env = {"PYTHONPATH": str(artifact), "PYTHONWARNINGS": "error"}
    command = [str(find_python()), "-c", _TOKENS]
    done = subprocess.run(command, input=asked, env=env, cwd="/", capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("[True, True, True, False]\n2\n", "")
