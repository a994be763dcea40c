"""Nothing of a prompt or an answer is stored or logged anywhere, unless the call has a trace; and then only there.

The traced call shows that the search would find the markers.
"""

import base64
import io
import json
import logging
import zlib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.world import KEY, SECRET, WORKSPACE, Client, Recorder, answers, completion, delta, streams, world
from tidegate.api.app import build_app
from tidegate.aws.gateway import create_aws_gateway
from tidegate.aws.logs import JsonLines
from tidegate.aws.tenants import DynamoKeys, DynamoTenants
from tidegate.compose import Overrides
from tidegate.domain.server_options import ServerOptions
from tidegate.domain.trace import decode_trace
from tidegate.settings import Settings
from tidegate.sqlite.folder import DataFolder
from tidegate.sqlite.world import SqliteWorld
from tidegate.transport.httpx import HttpxTransport

PROMPT, ANSWER, ARGUMENTS = "marker-of-the-prompt", "marker-of-the-answer", "marker-of-the-arguments"
MARKERS = (PROMPT, ANSWER, ARGUMENTS)
BODY: dict[str, Any] = {"model": "openai/gpt-4.1-mini", "messages": [{"role": "user", "content": f"Say {PROMPT}."}]}
TOOL_CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": json.dumps({"a": ARGUMENTS})}}
REPLY = completion(f"It is {ANSWER}.", tool_calls=[TOOL_CALL])
CHUNKS = [
    delta(f"It is {ANSWER}."),
    delta(**{})
    | {"choices": [{"index": 0, "delta": {"tool_calls": [{"index": 0, **TOOL_CALL}]}, "finish_reason": None}]},
    delta(finish="tool_calls"),
    "[DONE]",
]


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """All that is logged at DEBUG, as on Lambda, with metrics."""
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    handler.setFormatter(JsonLines("tidegate/test"))
    root = logging.getLogger()
    levels = [(each, each.level) for each in (root, logging.getLogger("tidegate"))]
    root.addHandler(handler)
    for logger, _ in levels:
        logger.setLevel(logging.DEBUG)
    yield out
    root.removeHandler(handler)
    for logger, level in levels:
        logger.setLevel(level)


def found_in(content: bytes) -> set[str]:
    """The markers in bytes: plain, compressed anywhere, or in base64."""
    encoded = [
        (marker, base64.b64encode(b" " * shift + marker.encode())[4:-4]) for marker in MARKERS for shift in range(3)
    ]
    found = {marker for marker in MARKERS if marker.encode() in content}
    found |= {marker for marker, text in encoded if text in content}
    for start in range(len(content)):
        if content[start] == 0x78 and content[start + 1 : start + 2] in (b"\x01", b"\x9c", b"\xda", b"\x5e"):
            try:
                inner = zlib.decompressobj().decompress(content[start:])
            except zlib.error:
                continue
            found |= {marker for marker in MARKERS if marker.encode() in inner}
    return found


@asynccontextmanager
async def sqlite_client(folder: Path, provider: Any) -> AsyncIterator[Client]:
    """A gateway over a data folder."""
    settings = Settings.from_env({"TIDEGATE_TABLE": "t", "AWS_REGION": "us-east-1", "OPENAI_API_KEY": "k"})
    fake = HttpxTransport(httpx.MockTransport(provider))
    async with SqliteWorld(DataFolder(folder), settings) as opened:
        tenants, keys = DynamoTenants(opened.store), DynamoKeys(opened.store)
        await tenants.put_workspace(WORKSPACE)
        await keys.put_key(KEY)
        gateway = await create_aws_gateway(opened, Overrides(wrap=lambda _: fake))

        @asynccontextmanager
        async def give() -> AsyncIterator[Any]:
            yield gateway

        app = build_app(give, ServerOptions())
        async with app.lifespan() as state:
            app.lifespan_state = state
            yield Client(app, Recorder(), [])


def files_of(folder: Path) -> bytes:
    return b"\n".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


async def ask(client: Client, stream: bool, traced: bool | None) -> str:
    asked = {} if traced is None else {"observability": traced}
    reply = await client.post({**BODY, **asked, "stream": stream}, headers={"authorization": f"Bearer {SECRET}"})
    assert reply.status == 200 and ANSWER.encode() in reply.body
    return reply.headers["x-request-id"]


@pytest.mark.parametrize("stream", [False, True])
async def test_a_data_folder_has_nothing_of_a_call_without_a_trace(
    stream: bool, tmp_path: Path, log: io.StringIO
) -> None:
    folder = tmp_path / "data"
    async with sqlite_client(folder, streams(*CHUNKS) if stream else answers(REPLY)) as client:
        traces = client.app.lifespan_state["gateway"].open_traces()
        for traced in (None, False):
            call_id = await ask(client, stream, traced)
            assert await traces.find("ws_test", call_id) is None
        assert b"call.settled" in log.getvalue().encode() and "_aws" in log.getvalue()
        assert files_of(folder).count(call_id.encode()) > 0
        assert (found_in(files_of(folder)), found_in(log.getvalue().encode())) == (set(), set())
        call_id = await ask(client, stream, True)
        content = await traces.find("ws_test", call_id)
        assert content is not None and found_in(content) == set(MARKERS)
        assert PROMPT in decode_trace(content).request.decode()
        # It is encrypted, and nowhere else.
        assert (found_in(files_of(folder)), found_in(log.getvalue().encode())) == (set(), set())


@pytest.mark.parametrize("stream", [False, True])
async def test_the_memory_has_nothing_of_a_call_without_a_trace(stream: bool, log: io.StringIO) -> None:
    async with world(streams(*CHUNKS) if stream else answers(REPLY)) as client:
        gateway = client.app.lifespan_state["gateway"]
        traces = gateway.open_traces()

        async def stored() -> bytes:
            calls = await gateway.open_usages().calls("ws_test", 100)
            kept = vars(traces)["_traces"].values()
            return json.dumps(calls, default=str).encode() + b"\n".join(each.content for each in kept)

        for traced in (None, False):
            call_id = await ask(client, stream, traced)
        assert call_id.encode() in await stored()
        assert (found_in(await stored()), found_in(log.getvalue().encode())) == (set(), set())
        await ask(client, stream, True)
        assert found_in(await stored()) == set(MARKERS)
        assert found_in(log.getvalue().encode()) == set()


REPEATED = f"You said {PROMPT}."
CHOICE = REPLY["choices"][0]


@pytest.mark.parametrize(
    ("status", "reply"),
    [
        (400, {"error": {"message": REPEATED, "type": REPEATED, "code": REPEATED, "param": REPEATED}}),
        (500, {"error": {"message": REPEATED, "code": REPEATED}}),
        (429, REPEATED),
        (200, {**REPLY, "choices": [{**CHOICE, "finish_reason": REPEATED}]}),
        (200, {**REPLY, "choices": [{**CHOICE, "index": REPEATED}], "usage": {"prompt_tokens": REPEATED}}),
        (200, {**REPLY, "id": REPEATED, "model": REPEATED, "choices": [REPEATED]}),
        (200, {**REPLY, "usage": {"prompt_tokens": 1, "completion_tokens": 1, "cost": REPEATED}}),
        (200, [REPEATED]),
    ],
)
async def test_a_provider_that_repeats_the_prompt_anywhere_puts_it_into_no_log_or_record(
    status: int, reply: Any, log: io.StringIO
) -> None:
    async with world(answers(reply, status)) as client:
        sent = await client.post({**BODY, "num_retries": 0}, headers={"authorization": f"Bearer {SECRET}"})
        calls = await client.app.lifespan_state["gateway"].open_usages().calls("ws_test", 100)
    assert [call["id"] for call in calls] == [sent.headers["x-request-id"]]
    assert PROMPT not in json.dumps(calls, default=str)
    assert "call.settled" in log.getvalue() and PROMPT not in log.getvalue()


async def test_a_providers_own_finish_reason_is_on_record_if_it_is_a_word() -> None:
    for reason, recorded in (
        ("MAX_TOKENS", "MAX_TOKENS"),
        ("model.context:full-1", "model.context:full-1"),
        ("a b", "other"),
    ):
        async with world(answers({**REPLY, "choices": [{**CHOICE, "finish_reason": reason}]})) as client:
            await client.post(BODY, headers={"authorization": f"Bearer {SECRET}"})
            [call] = await client.app.lifespan_state["gateway"].open_usages().calls("ws_test", 1)
        assert call["native_finish_reason"] == recorded
