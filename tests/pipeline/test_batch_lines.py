"""Calls of batches: a million lines must not write a million log lines."""

import logging

import httpx
import pytest
from msgspec.structs import replace

from tests.world import USER, completion, new_call, world


@pytest.mark.parametrize("batch_id", [None, "batch_1"])
async def test_a_call_of_a_batch_is_logged_only_for_debugging(
    batch_id: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    responses = [httpx.Response(500, json={}), httpx.Response(200, json=completion())]
    caplog.set_level(logging.DEBUG)
    async with world(lambda _: responses.pop(0)) as client:
        gateway = client.app.lifespan_state["gateway"]
        call = await new_call(gateway, {"model": "openai/gpt-4.1-mini", "messages": USER})
        async with gateway.answer(replace(call, batch_id=batch_id, batch_line=7)):
            pass
    lines = {record.message: record for record in caplog.records if record.name.startswith("tidegate.pipeline")}
    levels = {message: record.levelname for message, record in lines.items()}
    if batch_id is None:
        assert levels == {"attempt.failed": "WARNING", "call.settled": "INFO"}
        assert vars(lines["call.settled"])["batch_id"] is None
    else:
        assert levels == {"attempt.failed": "DEBUG", "call.settled": "DEBUG"}
        assert (vars(lines["call.settled"])["batch_id"], vars(lines["call.settled"])["line"]) == ("batch_1", 7)
