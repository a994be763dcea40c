"""openai-python on stored responses: in memory, and in a data folder over a restart and in two servers."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from openai import OpenAI

from tests.clients.world import DEMO_KEY, serving

pytestmark = pytest.mark.slow

MODEL = "demo/echo"


def client_of(port: int) -> Any:
    return OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key=DEMO_KEY, max_retries=0)


@pytest.fixture(scope="module", params=["memory", "local"])
def client(request: pytest.FixtureRequest) -> Iterator[Any]:
    with serving("--store", request.param) as (program, port):
        with client_of(port) as client:
            yield client
    assert program.err == []


def texts(client: Any, response_id: str) -> list[tuple[str, str]]:
    items: Any = client.responses.input_items.list(response_id, order="asc")
    return [(item.role, item.content[0].text) for item in items if item.type == "message"]


def test_turns_go_on_from_each_other(client: Any) -> None:
    first = client.responses.create(model=MODEL, input="One", instructions="Echo.")
    second = client.responses.create(model=MODEL, input="Two", previous_response_id=first.id)
    assert (second.previous_response_id, second.store, second.status) == (first.id, True, "completed")
    with client.responses.stream(model=MODEL, input="Three", previous_response_id=second.id) as stream:
        third = stream.get_final_response()
    assert client.responses.retrieve(third.id).output_text == third.output_text
    said = [("user", "One"), ("assistant", first.output_text), ("user", "Two"), ("assistant", second.output_text)]
    assert texts(client, third.id) == [*said, ("user", "Three")]
    pages = client.responses.input_items.list(third.id, limit=2)
    assert len(list(pages)) == 5  # over three pages


def test_what_is_deleted_is_gone(client: Any) -> None:
    first = client.responses.create(model=MODEL, input="One")
    client.responses.delete(first.id)
    for refused in (client.responses.retrieve, client.responses.delete, client.responses.cancel):
        with pytest.raises(openai.NotFoundError):
            refused(first.id)
    with pytest.raises(openai.BadRequestError) as caught:
        client.responses.create(model=MODEL, input="Two", previous_response_id=first.id)
    assert (caught.value.code, caught.value.param) == ("previous_response_not_found", "previous_response_id")


def test_what_the_caller_keeps_out_is_not_stored(client: Any) -> None:
    first = client.responses.create(model=MODEL, input="One", store=False)
    assert first.store is False
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(first.id)


def test_references_conversations_counts_and_compaction(client: Any) -> None:
    first = client.responses.create(model=MODEL, input="One")
    reference: Any = {"type": "item_reference", "id": first.output[0].id}
    second = client.responses.create(
        model=MODEL, input=[{"role": "user", "content": "One"}, reference, {"role": "user", "content": "Two"}]
    )
    assert [role for role, _ in texts(client, second.id)] == ["user", "assistant", "user"]
    conversation = client.conversations.create(items=[{"type": "message", "role": "user", "content": "Zero"}])
    client.responses.create(model=MODEL, input="One", conversation=conversation.id)
    items = list(client.conversations.items.list(conversation.id, order="asc"))
    assert [item.type for item in items] == ["message"] * 3
    assert client.responses.input_tokens.count(model=MODEL, input="One").input_tokens > 0
    compacted = client.responses.compact(model=MODEL, previous_response_id=second.id)
    assert [item.type for item in compacted.output][-1] == "compaction"
    listed: Any = [item.model_dump(warnings=False) for item in compacted.output]
    assert (
        client.responses.create(model=MODEL, input=[*listed, {"role": "user", "content": "On"}]).status == "completed"
    )


def test_a_stored_response_outlives_its_server_and_is_read_by_another(tmp_path: Path) -> None:
    env = {"TIDEGATE_DATA": str(tmp_path / "data")}
    with serving("--store", "local", env=env) as (_, port), client_of(port) as client:
        first = client.responses.create(model=MODEL, input="One")
    with serving("--store", "local", env=env) as (_, port), serving("--store", "local", env=env) as (_, other_port):
        with client_of(port) as client, client_of(other_port) as other:
            second = client.responses.create(model=MODEL, input="Two", previous_response_id=first.id)
            third = other.responses.create(model=MODEL, input="Three", previous_response_id=second.id)
            said = [text for role, text in texts(client, third.id) if role == "user"]
            assert said == ["One", "Two", "Three"]


def test_a_server_that_keeps_nothing_says_so() -> None:
    with serving("--store", "memory", env={"TIDEGATE_RESPONSE_STATE": "off"}) as (_, port), client_of(port) as client:
        assert client.responses.create(model=MODEL, input="One", store=True).store is False
        with pytest.raises(openai.BadRequestError, match="keeps nothing"):
            client.responses.create(model=MODEL, input="Two", previous_response_id="resp_1")
