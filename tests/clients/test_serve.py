"""`python -m tidegate`, as an operator meets it: starting, failing to start, ending, and keys of a running server."""

import json
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.error import HTTPError

import pytest

from tests.clients.programs import environment, finished, tidegate
from tests.clients.tap import tapped
from tests.clients.world import DEMO_WORKSPACE, Server, get, serving

pytestmark = pytest.mark.slow

EMBEDDED = ("--store", "embedded", "--embedded-port", "0")


@pytest.fixture(scope="module")
def embedded() -> Iterator[tuple[str, str]]:
    """The URL of a gateway on an embedded AWS, and that AWS's endpoint."""
    with serving(*EMBEDDED) as (program, port):
        endpoint = program.said("DynamoDB").split()[-1]
        yield f"http://127.0.0.1:{port}/v1", endpoint
    assert program.err == []


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as door:
        yield door.getsockname()[1]


def test_a_port_in_use_is_one_line(taken: int) -> None:
    refused(
        ("serve", "--store", "memory", "--port", str(taken)),
        f"Cannot listen on 127.0.0.1:{taken}: Address already in use. Choose another port with --port.",
    )


def test_an_embedded_port_in_use_is_one_line(taken: int) -> None:
    words = ("serve", "--port", "0", "--store", "embedded", "--embedded-port", str(taken))
    said = f"Cannot listen on 127.0.0.1:{taken}: Address already in use. Choose another port with --embedded-port."
    refused(words, said)


def test_an_address_of_another_machine_is_one_line() -> None:
    words = ("serve", "--store", "memory", "--port", "0", "--host", "192.0.2.1")
    refused(words, "Cannot listen on 192.0.2.1:0: Cannot assign requested address.")


def test_all_that_is_missing_is_named_at_once() -> None:
    refused(("serve", "--port", "0", "--store", "aws"), "TIDEGATE_TABLE is not set; AWS_REGION is not set.")


def test_all_that_is_malformed_is_named_at_once() -> None:
    env = {"TIDEGATE_TIMEOUT_SECONDS": "soon", "TIDEGATE_TRANSPORT": "pigeon"}
    said = refused(("serve", "--port", "0", "--store", "memory"), None, env)
    assert "TIDEGATE_TIMEOUT_SECONDS is not a number: 'soon'" in said
    assert "TIDEGATE_TRANSPORT must be one of httptools, pyreqwest, aiohttp, httpx: 'pigeon'" in said


@pytest.fixture(params=["nobody", "silence"])
def dead(request: pytest.FixtureRequest) -> Iterator[str]:
    """Where nobody listens, or where connections are accepted and nothing is said."""
    with socket.create_server(("127.0.0.1", 0)) as door:
        url = f"http://127.0.0.1:{door.getsockname()[1]}"
        if request.param == "nobody":
            door.close()
        yield url


@pytest.mark.parametrize("transport", ["httptools", "pyreqwest", "aiohttp", "httpx"])
def test_an_endpoint_without_dynamodb_is_one_line(transport: str, dead: str) -> None:
    words = ("serve", "--port", "0", "--dynamodb-endpoint", dead)
    refused(words, f"DynamoDB does not answer at {dead}.", {"TIDEGATE_TRANSPORT": transport})


def test_a_table_that_does_not_answer_is_one_line(dead: str) -> None:
    env = {"TIDEGATE_TABLE": "t", "AWS_REGION": "eu-central-1", "AWS_ENDPOINT_URL_DYNAMODB": dead}
    env |= {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"}
    refused(("serve", "--port", "0", "--store", "aws"), f"DynamoDB does not answer at {dead}.", env)
    refused(("workspaces", "list"), f"DynamoDB does not answer at {dead}.", env)


def test_an_endpoint_for_another_store_is_one_line() -> None:
    words = ("serve", "--port", "0", "--store", "memory", "--dynamodb-endpoint", "http://127.0.0.1:1")
    refused(words, "--dynamodb-endpoint can be used with --store embedded only.")


def test_another_dynamodb_serves_instead_of_the_embedded_one(aws_endpoint: str) -> None:
    with serving("--dynamodb-endpoint", aws_endpoint) as (program, port):
        assert program.said("DynamoDB").split()[-1] == aws_endpoint
        assert get(f"http://127.0.0.1:{port}/v1/models")["object"] == "list"
        shown = finished(*tidegate("workspaces", "show", DEMO_WORKSPACE, "--json", *_table(aws_endpoint)))
        assert json.loads(shown.stdout)["id"] == DEMO_WORKSPACE
    assert program.err == []


@pytest.mark.parametrize("store", [("--store", "memory"), EMBEDDED], ids=["memory", "embedded"])
@pytest.mark.parametrize(("ending", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 0)])
def test_a_signal_ends_the_server_quietly(store: tuple[str, ...], ending: signal.Signals, code: int) -> None:
    with serving(*store) as (program, port):
        get(f"http://127.0.0.1:{port}/v1/models")
        assert (program.end(ending), program.err) == (code, [])


def test_a_workspace_and_a_key_of_a_running_server(embedded: tuple[str, str]) -> None:
    url, endpoint = embedded
    workspace = command(endpoint, "workspaces", "create", "Harbour", "--id", "ws_harbour")
    key = command(endpoint, "keys", "create", "--workspace", workspace["id"], "--default", workspace["id"])
    assert get(f"{url}/models", key["secret"])["object"] == "list"
    assert [one["id"] for one in command(endpoint, "keys", "list", "--workspace", "ws_harbour")] == [key["id"]]
    assert key["secret"] not in json.dumps(command(endpoint, "keys", "list", "--workspace", "ws_harbour"))


def test_a_revoked_key_is_refused_by_the_next_process(embedded: tuple[str, str]) -> None:
    # A process that knows the key already takes it for another minute: tests/policy/test_authenticate.py has the clock.
    _, endpoint = embedded
    command(endpoint, "workspaces", "create", "Quay", "--id", "ws_quay")
    key = command(endpoint, "keys", "create", "--workspace", "ws_quay", "--default", "ws_quay")
    command(endpoint, "keys", "revoke", key["id"], "--workspace", "ws_quay")
    with serving("--dynamodb-endpoint", endpoint) as (_, port), tapped(("127.0.0.1", port)):
        with pytest.raises(HTTPError) as caught:
            get(f"http://127.0.0.1:{port}/v1/models", key["secret"])
        with caught.value as reply:
            assert (reply.code, json.load(reply)["error"]["code"]) == (401, "invalid_api_key")
        assert get(f"http://127.0.0.1:{port}/v1/models")["object"] == "list"


def test_a_suspended_workspace_is_refused_by_the_next_process(embedded: tuple[str, str]) -> None:
    _, endpoint = embedded
    command(endpoint, "workspaces", "create", "Pier", "--id", "ws_pier")
    key = command(endpoint, "keys", "create", "--workspace", "ws_pier", "--default", "ws_pier")
    command(endpoint, "workspaces", "suspend", "ws_pier")
    with serving("--dynamodb-endpoint", endpoint) as (_, port):
        with pytest.raises(HTTPError) as caught:
            get(f"http://127.0.0.1:{port}/v1/models", key["secret"])
        with caught.value as reply:
            assert (reply.code, json.load(reply)["error"]["code"]) == (403, "workspace_forbidden")


def test_commands_say_in_one_line_what_is_wrong() -> None:
    refused(
        ("keys", "list", "--workspace", "ws_demo", "--store", "embedded", "--dynamodb-endpoint", "http://127.0.0.1:9"),
        "Nothing answers at http://127.0.0.1:9: start `python -m tidegate serve`, or name a table with --table.",
    )
    assert finished(*tidegate("--version")).returncode == 0
    nonsense = finished(*tidegate("sail"))
    assert (nonsense.returncode, "Traceback" in nonsense.stderr) == (2, False)


def test_the_example_of_the_banner_works(server: Server) -> None:
    lines = server.program.out
    first = next(i for i, line in enumerate(lines) if line.startswith("curl "))
    said = subprocess.run(["sh", "-c", "\n".join(lines[first : first + 2])], capture_output=True, text=True, timeout=30)
    assert said.returncode == 0
    assert '"content":"Hello, "' in said.stdout and said.stdout.endswith("data: [DONE]\n\n")


def command(endpoint: str, *words: str) -> dict[str, str]:
    done = finished(*tidegate(*words, "--json", *_table(endpoint)))
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


def _table(endpoint: str) -> tuple[str, ...]:
    return ("--store", "embedded", "--dynamodb-endpoint", endpoint)


def refused(words: tuple[str, ...], message: str | None, env: dict[str, str] | None = None, code: int = 2) -> str:
    """What the command said on its one line; it has said nothing else."""
    done = finished(*tidegate(*words), env=env)
    assert (done.returncode, done.stdout) == (code, ""), done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith("tidegate: ")
    assert message is None or line == f"tidegate: {message}"
    return line


def test_an_interrupt_while_starting_is_silent(tmp_path: Path) -> None:
    words = tidegate("serve", "--port", "0", "--data", str(tmp_path / "data"))
    for seconds in (0.15, 0.3, 0.6):
        with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment()) as process:
            with suppress(subprocess.TimeoutExpired):
                process.wait(seconds)
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=20)
        assert err == b""
        assert process.returncode in (0, 130, -signal.SIGINT)
