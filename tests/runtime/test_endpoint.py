import asyncio
import math

import pytest

from tests.emulators.wire import Head, listening
from tidegate.runtime.connection import Connection, ConnectionLost, Reply
from tidegate.runtime.endpoint import Invocation, invocation_of
from tidegate.runtime.environment import Environment
from tidegate.runtime.invocation import seconds_until_guard

NOW = 1_795_252_368.0


def test_an_invocation_is_what_the_headers_say() -> None:
    headers = {
        "lambda-runtime-aws-request-id": "r-1",
        "lambda-runtime-invocation-id": "i-1",
        "lambda-runtime-deadline-ms": "1795252398500",
        "lambda-runtime-invoked-function-arn": "arn",
        "lambda-runtime-trace-id": "Root=1",
    }
    assert invocation_of(Reply(200, headers, b"{}"), NOW) == Invocation(
        "r-1", "i-1", 1_795_252_398.5, "arn", "Root=1", b"{}"
    )


@pytest.mark.parametrize("deadline", ["0", "600000", "-1", "soon", "", "1795252367999"])
def test_a_deadline_that_is_past_or_not_a_date_is_none(deadline: str) -> None:
    headers = {"lambda-runtime-aws-request-id": "r-1", "lambda-runtime-deadline-ms": deadline}
    assert invocation_of(Reply(200, headers, b""), NOW) == Invocation("r-1", "", math.inf, "", "", b"")


@pytest.mark.parametrize(
    ("deadline", "expected"), [(NOW + 30, 29.5), (NOW + 0.75, 0.375), (NOW - 1, 0.0), (math.inf, None)]
)
def test_the_guard_strikes_half_a_second_before_the_deadline(deadline: float, expected: float | None) -> None:
    assert seconds_until_guard(deadline, NOW) == expected


def test_the_environment_is_lambdas() -> None:
    variables = {
        "AWS_LAMBDA_RUNTIME_API": "127.0.0.1:9001",
        "LAMBDA_TASK_ROOT": "/var/task",
        "AWS_LAMBDA_MAX_CONCURRENCY": "16",
        "AWS_LAMBDA_INITIALIZATION_TYPE": "snap-start",
        "AWS_SAM_LOCAL": "true",
    }
    assert Environment.from_env(variables) == Environment("127.0.0.1:9001", "/var/task", 16, True, True)


@pytest.mark.parametrize("concurrency", [{}, {"AWS_LAMBDA_MAX_CONCURRENCY": ""}, {"AWS_LAMBDA_MAX_CONCURRENCY": "0"}])
def test_a_plain_function_serves_one_invocation_at_a_time(concurrency: dict[str, str]) -> None:
    variables = {"AWS_LAMBDA_RUNTIME_API": "127.0.0.1:9001", **concurrency}
    assert Environment.from_env(variables) == Environment("127.0.0.1:9001", ".", 1, False, False)


async def reply_to_get(answer: bytes) -> Reply:
    async def serve(head: Head, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        await writer.drain()
        writer.close()

    async with listening(serve) as port:
        connection = Connection(f"127.0.0.1:{port}")
        try:
            return await connection.request("GET", "/")
        finally:
            connection.close()


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (b"HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\n\r\n{}", Reply(202, {"content-length": "2"}, b"{}")),
        (b"HTTP/1.1 204 No Content\r\n\r\n", Reply(204, {}, b"")),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;a=b\r\nab\r\n1\r\nc\r\n0\r\nX: y\r\n\r\n",
            Reply(200, {"transfer-encoding": "chunked"}, b"abc"),
        ),
    ],
)
async def test_a_reply_is_read_in_either_framing(answer: bytes, expected: Reply) -> None:
    assert await reply_to_get(answer) == expected


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000,
    ],
    ids=["nothing", "cut", "not chunks", "not http", "endless head"],
)
async def test_what_is_not_a_reply_is_a_lost_connection(answer: bytes) -> None:
    with pytest.raises(ConnectionLost):
        await reply_to_get(answer)
