"""Requests in the payload of an invocation."""

import json
from typing import Any

import httpx
import pytest

from tests.batch.events import stored_objects
from tests.batch.world import Provider, batch_world, request, requests
from tests.world import WORKSPACE, completion
from tidegate.batch.direct import MAX_ANSWER_BYTES, MAX_REQUESTS, answer_invocation
from tidegate.domain.batch_options import BatchOptions
from tidegate.errors import InvalidRequest, WorkspaceForbidden


def event(*lines: Any, **fields: Any) -> Any:
    return {"workspace_id": WORKSPACE.id, "requests": [*lines], **fields}


async def test_answers_come_in_the_order_of_the_requests_with_so_many_calls_at_once() -> None:
    provider = Provider(seconds=0.01)
    async with batch_world(provider, options=BatchOptions(parallel_calls=3)) as world:
        answer = await answer_invocation(world.components, event(*requests(10)), world.clock() + 60)
        assert answer["request_counts"] == {"total": 10, "completed": 10, "failed": 0}
        results: Any = answer["results"]
        assert [result["custom_id"] for result in results] == [f"line-{number}" for number in range(10)]
        contents = [result["response"]["body"]["choices"][0]["message"]["content"] for result in results]
        assert contents == [f"Re: Line {number}." for number in range(10)]
        assert len({result["id"] for result in results}) == 10
        assert (provider.most, world.held(), len(await world.records())) == (3, [], 10)


async def test_a_request_that_is_wrong_is_a_line_and_the_others_are_answered() -> None:
    wrong = [{**request(1), "url": "/v1/other"}, "text", {**request(0)}, {"url": request(1)["url"], "body": {}}]
    async with batch_world() as world:
        answer = await answer_invocation(world.components, event(request(0), *wrong, request(5)), world.clock() + 60)
        results: Any = answer["results"]
        assert answer["request_counts"] == {"total": 6, "completed": 2, "failed": 4}
        codes = [result["error"] and result["error"]["code"] for result in results]
        expected = [None, "invalid_url", "invalid_url", "duplicate_custom_id", "missing_required_parameter", None]
        assert codes == expected
        assert [result["custom_id"] for result in results] == ["line-0", "line-1", None, "line-0", None, "line-5"]


async def test_a_custom_id_that_is_not_valid_unicode_is_a_wrong_line() -> None:
    """Python's `json`, with which Lambda reads the payload of an invocation, accepts lone surrogates."""
    wrong = json.loads(json.dumps({**request(1), "custom_id": "a\ud800"}))
    async with batch_world() as world:
        answer = await answer_invocation(world.components, event(request(0), wrong), world.clock() + 60)
        results: Any = answer["results"]
        assert [result["custom_id"] for result in results] == ["line-0", "a?"]
        assert results[1]["error"]["code"] == "invalid_json_line"


@pytest.mark.parametrize(
    "fields",
    [
        {"requests": []},
        {"requests": {}},
        {"requests": None},
        {"requests": [{}] * (MAX_REQUESTS + 1)},
        {"workspace_id": 5},
    ],
)
async def test_an_event_that_is_wrong_fails_the_invocation(fields: dict[str, Any]) -> None:
    async with batch_world() as world:
        with pytest.raises(InvalidRequest):
            await answer_invocation(world.components, {**event(request(0)), **fields}, world.clock() + 60)
        with pytest.raises(WorkspaceForbidden):
            await answer_invocation(world.components, event(request(0), workspace_id="ws_no"), world.clock() + 60)
        assert world.provider.prompts == []


async def test_a_repetition_with_an_idempotency_key_is_charged_once() -> None:
    async with batch_world() as world:
        answers: list[Any] = [
            await answer_invocation(world.components, event(*requests(2), idempotency_key=key), world.clock() + 60)
            for key in ("a", "a", "b")
        ]
        bodies = [[line["response"]["body"] for line in each["results"]] for each in answers]
        assert bodies[0] == bodies[1] != bodies[2]
        assert len(world.provider.prompts) == 4


@pytest.mark.jumping_clock
async def test_requests_for_which_no_time_is_left_are_not_asked() -> None:
    provider = Provider(seconds=10.0)
    async with batch_world(provider, options=BatchOptions(parallel_calls=1)) as world:
        answer = await answer_invocation(world.components, event(*requests(5)), world.clock() + 25)
        results: Any = answer["results"]
        kinds = [
            result["error"]["code"] if result["error"] else result["response"]["status_code"] for result in results
        ]
        assert kinds == [200, 200, 504, "batch_expired", "batch_expired"]
        assert world.held() == []


async def test_answers_that_lambda_would_refuse_are_stored() -> None:
    long = "x" * (MAX_ANSWER_BYTES // 2)
    async with batch_world(Provider(lambda prompt, _: httpx.Response(200, json=completion(long)))) as world:
        answer = await answer_invocation(world.components, event(*requests(2)), world.clock() + 60)
        assert set(answer) == {"workspace_id", "request_counts", "object"}
        lines = ((await stored_objects(world))[str(answer["object"])] or b"").splitlines()
        assert [json.loads(line)["custom_id"] for line in lines] == ["line-0", "line-1"]
        assert str(answer["object"]).startswith(f"workspaces/{WORKSPACE.id}/out/direct/")
