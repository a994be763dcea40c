"""Clients that leave in the middle of a call, over real sockets: the provider is left too, the call metered once."""

import asyncio
import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import openai
import pytest
from openai import OpenAI

from tests.clients.held import Held, held_provider
from tests.clients.programs import Program, until
from tests.clients.world import DEMO_KEY, DEMO_WORKSPACE, HELD, serving, user
from tidegate.aws.dynamo import create_dynamo_client
from tidegate.aws.store import Store
from tidegate.aws.tenants import DynamoUsageReader
from tidegate.transport.aws_credentials import StaticCredentials
from tidegate.transport.httpx import HttpxTransport
from tidegate.transport.sigv4 import AwsKey

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Harbour:
    """A gateway with an AWS of its own. `known` are the calls that have been looked at."""

    transport: str | None
    program: Program
    url: str
    endpoint: str
    held: Held
    known: set[str] = field(default_factory=set[str])

    def calls(self) -> list[dict[str, Any]]:
        """What the table keeps of new calls."""
        return [call for call in asyncio.run(_calls(self.endpoint)) if call["id"] not in self.known]

    def is_left_early(self) -> bool:
        """Whether a provider is left that has said nothing: pyreqwest 0.15 keeps a request until its reply begins."""
        return self.transport == "pyreqwest" or self.held.closed.acquire(timeout=15)

    def cancelled(self) -> dict[str, Any]:
        """The record of the one new call, once it is written."""
        until(lambda: bool(self.calls()))
        (call,) = self.calls()
        assert call["status"] == "cancelled"
        self.known.add(call["id"])
        until(lambda: call["id"] in self.settled())
        assert self.settled()[call["id"]] == "cancelled"
        return call

    def settled(self) -> dict[str, str]:
        """What the log says of each call's end."""
        lines = [json.loads(line) for line in self.program.out if '"call.settled"' in line]
        assert len({line["call_id"] for line in lines}) == len(lines), "settled twice"
        return {line["call_id"]: line["status"] for line in lines}


@pytest.fixture(scope="module", params=[None, "aiohttp", "pyreqwest", "httpx"])
def running_harbour(request: pytest.FixtureRequest) -> Iterator[Harbour]:
    with opened(request.param) as harbour:
        yield harbour


@pytest.fixture
def harbour(running_harbour: Harbour) -> Harbour:
    running_harbour.held.forget()
    return running_harbour


def test_a_stream_whose_client_is_killed(harbour: Harbour) -> None:
    with curl(harbour, stream=True) as client:
        assert client.stdout is not None
        while "The tide" not in client.stdout.readline():
            pass
        client.kill()
        assert harbour.held.closed.acquire(timeout=15)
        call = harbour.cancelled()
    unseen = call["reasoning_tokens"]
    assert (call["stream"], call["estimated"], call["output_tokens"] - unseen) == (True, True, 2)


@pytest.mark.parametrize("stream", [False, True])
def test_a_call_whose_client_is_killed_before_the_first_word(harbour: Harbour, stream: bool) -> None:
    harbour.held.silent = True
    with curl(harbour, stream=stream) as client:
        assert harbour.held.begun.acquire(timeout=15)
        client.kill()
        assert harbour.is_left_early()
        call = harbour.cancelled()
    unseen = call["reasoning_tokens"]
    assert (call["stream"], call["output_tokens"] - unseen, call["cost_usd"]) == (stream, 0, None)  # it has no price
    assert call["estimated"] and int(call["input_tokens"]) > 0


def test_a_stream_that_openai_python_closes(harbour: Harbour) -> None:
    with OpenAI(base_url=harbour.url, api_key=DEMO_KEY, max_retries=0) as client:
        with client.chat.completions.create(model=HELD, messages=user("Hello"), stream=True) as stream:
            next(stream)
    assert harbour.held.closed.acquire(timeout=15)
    harbour.cancelled()


def test_a_call_that_openai_python_gives_up(harbour: Harbour) -> None:
    with OpenAI(base_url=harbour.url, api_key=DEMO_KEY, max_retries=0) as client:
        with pytest.raises(openai.APITimeoutError):
            client.chat.completions.create(model=HELD, messages=user("Hello"), timeout=0.5)
    assert harbour.is_left_early()
    harbour.cancelled()


def test_a_stream_that_the_servers_end_cuts() -> None:
    with opened(None) as harbour, curl(harbour, stream=True) as client:
        assert harbour.held.begun.acquire(timeout=15)
        assert client.stdout is not None and "data: " in client.stdout.readline()
        assert harbour.program.end() == 0
        assert harbour.held.closed.acquire(timeout=15)
    assert list(harbour.settled().values()) == ["cancelled"]


@contextmanager
def opened(transport: str | None) -> Iterator[Harbour]:
    """A server with that transport, or with its own."""
    with held_provider() as held:
        env = {"VLLM_BASE_URL": f"http://127.0.0.1:{held.port}/v1"}
        env |= {"TIDEGATE_TRANSPORT": transport} if transport else {}
        with serving("--store", "embedded", "--embedded-port", "0", env=env) as (program, port):
            endpoint = program.said("DynamoDB").split()[-1]
            yield Harbour(transport, program, f"http://127.0.0.1:{port}/v1", endpoint, held)
        assert not [line for line in program.err if "Traceback" in line]


@contextmanager
def curl(harbour: Harbour, *, stream: bool) -> Iterator["subprocess.Popen[str]"]:
    body = json.dumps({"model": HELD, "stream": stream, "messages": user("Hello")})
    head = ("-H", f"Authorization: Bearer {DEMO_KEY}", "-H", "Content-Type: application/json")
    command = ("curl", "-sN", f"{harbour.url}/chat/completions", *head, "-d", body)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as client:
        try:
            yield client
        finally:
            client.kill()


async def _calls(endpoint: str) -> list[dict[str, Any]]:
    transport = HttpxTransport()
    try:
        client = create_dynamo_client(transport, StaticCredentials(AwsKey("local", "local")), "us-east-1", endpoint)
        return list(await DynamoUsageReader(Store(client, "tidegate")).calls(DEMO_WORKSPACE, 10))
    finally:
        await transport.close()
