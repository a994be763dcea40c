"""A table, and a terminal that writes to it."""

import asyncio
import uuid

import pytest

from tests.cli.terminal import Said, Terminal, parse
from tests.store_worlds import CREDENTIALS, NOON, REGION
from tidegate.aws.dynamo import create_dynamo_client
from tidegate.aws.table import create_table
from tidegate.cli import commands
from tidegate.transport.reqwest import ReqwestTransport


@pytest.fixture
def table(aws_endpoint: str) -> str:
    name = f"tidegate-{uuid.uuid4()}"

    async def create() -> None:
        transport = ReqwestTransport()
        await create_table(create_dynamo_client(transport, CREDENTIALS, REGION, aws_endpoint), name)
        await transport.close()

    asyncio.run(create())
    return name


@pytest.fixture
def env(table: str, aws_endpoint: str) -> dict[str, str]:
    return {
        "TIDEGATE_TABLE": table,
        "AWS_REGION": REGION,
        "AWS_ENDPOINT_URL_DYNAMODB": aws_endpoint,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
    }


@pytest.fixture
def tidegate(env: dict[str, str], capsys: pytest.CaptureFixture[str]) -> Terminal:
    """Types a command, with the clock at noon."""

    def typed(*words: str, **changed: str) -> Said:
        code = commands.run(parse(*words), {**env, **changed}, lambda: NOON)
        return Said(code, *capsys.readouterr())

    return typed
