"""A plain reply gives what all of the cleaning, counting and pricing give: its bytes, its record and its log line."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import httpx
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.providers.recorded import all_needed, chats
from tests.world import USER, WORKSPACE, Client, completion, world
from tidegate.domain.record import call_record
from tidegate.domain.usage import any_counts
from tidegate.domain.workspace import Workspace
from tidegate.pipeline.observation import log_fields

CALL = {"model": "openai/gpt-4o-mini", "messages": USER}
BY_TEXT = Workspace(WORKSPACE.id, "By text", words_method="unicode", charge_input_words=True)
NOON = 1_795_780_800.0


@contextmanager
def without_schemas() -> Iterator[None]:
    """No reply is plain, and no cost is one of text alone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tidegate.providers.openai.completion.decode_text", _refuse)
        patch.setattr("tidegate.providers.openai.completion.decode_completion", _refuse)
        patch.setattr("tidegate.providers.openai.completion.plain_completion", _never_plain)
        patch.setattr("tidegate.providers.openai.usage.plain_usage", _never_plain)
        patch.setattr("tidegate.policy.metering.billing.reported_counts", any_counts)
        patch.setattr("tidegate.catalog.row.Price.text_rates", property(lambda _: None))
        yield


def _refuse(*_: object) -> None:
    raise msgspec.ValidationError


def _never_plain(*_: object) -> None:
    return None


async def _outcomes(bodies: Sequence[Any], workspace: Workspace) -> list[Any]:
    """Return the replies, records and log lines of calls that a provider answers with these bodies in turn."""
    answer: list[Any] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tidegate.gateway.ulid", _same_id)
        async with world(lambda _: httpx.Response(200, json=answer[-1]), workspace=workspace) as client:
            state = client.app.lifespan_state
            client.app.lifespan_state = {**state, "gateway": replace(state["gateway"], clock=lambda: NOON)}
            return [await _outcome(client, answer, body) for body in bodies]


def _same_id(now: float) -> str:
    return "0" * 26


async def _outcome(client: Client, answer: list[Any], body: Any) -> Any:
    answer.append(body)
    reply = await client.post(CALL)
    outcome = client.recorder.outcomes[-1]
    record = call_record(outcome)
    return reply.status, reply.body, record, log_fields(outcome, record)


async def _check(bodies: Sequence[Any], workspace: Workspace) -> None:
    ours = await _outcomes(bodies, workspace)
    with without_schemas():
        assert await _outcomes(bodies, workspace) == ours


@all_needed
@pytest.mark.parametrize("workspace", [WORKSPACE, BY_TEXT], ids=["by tokens", "by text"])
@pytest.mark.parametrize("provider", ["openai", "azure", "deepseek", "groq", "mistral", "openrouter"])
async def test_a_recorded_reply_is_stamped_and_billed_in_the_same_way(provider: str, workspace: Workspace) -> None:
    bodies = [one.body for one in chats(provider, streams=False)]
    await _check(bodies[:: max(1, len(bodies) // 40)], workspace)


_COUNTS = st.integers(0, 2_000) | st.sampled_from([0, None, 7.5, "12", -1, 3_000_000])
_DETAILS = st.none() | st.dictionaries(
    st.sampled_from(["cached_tokens", "reasoning_tokens", "audio_tokens", "cache_write_tokens", "own"]), _COUNTS
)
_USAGES = st.none() | st.fixed_dictionaries(
    {"prompt_tokens": _COUNTS, "completion_tokens": _COUNTS, "total_tokens": _COUNTS},
    optional={"prompt_tokens_details": _DETAILS, "completion_tokens_details": _DETAILS, "queue_time": _COUNTS},
)
_TEXTS = st.sampled_from(["", "Hello.", "It's 3.14, isn't it?", "_a_ b_c ._.", "Grüße an 東京", None])
_REPLIES = st.builds(
    lambda text, usage, fields: {**completion(text, **fields), "usage": usage},
    _TEXTS,
    _USAGES,
    st.fixed_dictionaries({}, optional={"refusal": _TEXTS, "reasoning": _TEXTS, "annotations": st.just([])}),
)


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(st.lists(_REPLIES, min_size=1, max_size=8), st.sampled_from([WORKSPACE, BY_TEXT]))
async def test_any_reply_is_stamped_and_billed_in_the_same_way(bodies: list[Any], workspace: Workspace) -> None:
    await _check(bodies, workspace)
