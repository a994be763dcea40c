"""Which batches go to their provider's batch API, and what the others are told."""

from typing import Any

import pytest
from msgspec.structs import replace

from tests.batch.world import batch_world
from tests.world import WORKSPACE
from tidegate.batch.provider_jobs.choice import ModeChoice, choose_mode
from tidegate.batch.views import batch_json
from tidegate.domain.batch import Batch
from tidegate.domain.routes import Route, RouteTarget
from tidegate.domain.workspace import Workspace

ROUTES = (Route("two", (RouteTarget("openai/gpt-5-mini"), RouteTarget("mistral/mistral-small"))),)
BY_PROVIDER = ModeChoice("provider_batch")
BY_CALLS = ModeChoice("calls")


def batch(model: str | None = "openai/gpt-5-mini", **fields: Any) -> Batch:
    known: dict[str, Any] = {"metadata": {"tidegate_mode": "provider_batch"}, "total": 500, "expires_at": 86_400.0}
    return Batch(
        id="batch_1",
        workspace_id="ws_test",
        key_id=None,
        endpoint="/v1/chat/completions",
        input_file_id="file-1",
        input_key="k",
        input_bytes=1,
        completion_window="24h",
        created_at=0.0,
        model=model,
        **{**known, **fields},
    )


async def choose(stored: Batch, workspace: Workspace = WORKSPACE) -> ModeChoice:
    async with batch_world(workspace=workspace, AWS_BEARER_TOKEN_BEDROCK="provider-secret-5") as world:
        return await choose_mode(world.components, stored)


@pytest.mark.parametrize(
    ("metadata", "mode", "expected"),
    [
        (None, "calls", BY_CALLS),
        ({}, "calls", BY_CALLS),
        ({"tidegate_mode": "provider_batch"}, "calls", BY_PROVIDER),
        (None, "provider_batch", BY_PROVIDER),
        ({"other": "x"}, "provider_batch", BY_PROVIDER),
        ({"tidegate_mode": "calls"}, "provider_batch", BY_CALLS),
    ],
)
async def test_the_metadata_decide_or_else_the_workspace(metadata: Any, mode: Any, expected: ModeChoice) -> None:
    assert await choose(batch(metadata=metadata), replace(WORKSPACE, batch_mode=mode)) == expected


@pytest.mark.parametrize(
    ("stored", "reason"),
    [
        (batch(None), "The lines of the batch name several models."),
        (batch("unheard-of"), "The model 'unheard-of' leads to no provider."),
        (batch("anthropic/claude-haiku-4-5"), "The model 'anthropic/claude-haiku-4-5' leads to no provider."),
        (batch("two"), "The route 'two' has several deployments."),
        (batch("mistral/mistral-small"), "The gateway knows no batch API of the provider 'mistral'."),
        (batch("openai/unheard-of"), "The gateway knows no price of 'openai/unheard-of' in batches."),
        (batch(expires_at=86_399.0), "The provider promises an end only within 24 hours."),
    ],
)
async def test_what_no_batch_api_can_answer_is_answered_by_calls(stored: Batch, reason: str) -> None:
    chosen = await choose(stored, replace(WORKSPACE, routes=ROUTES))
    assert chosen == ModeChoice("calls", reason)
    shown = batch_json(replace(stored, mode=chosen.mode, mode_reason=chosen.reason))["tidegate"]
    assert isinstance(shown, dict)
    assert (shown["mode"], shown["mode_reason"]) == ("calls", reason)


async def test_bedrock_needs_enough_lines_and_a_role_for_the_bucket() -> None:
    model = "bedrock/amazon.nova-lite-v1:0"
    few = await choose(batch(model, total=99))
    assert few.reason == "The provider needs at least 100 lines in a batch."
    without_role = await choose(batch(model, total=100))
    assert without_role.reason is not None
    assert "bedrock_role" in without_role.reason


async def test_a_workspace_that_is_suspended_chooses_nothing() -> None:
    assert await choose(batch(), replace(WORKSPACE, status="suspended")) == BY_CALLS


async def test_a_route_to_one_deployment_is_no_hindrance() -> None:
    routes = (Route("one", (RouteTarget("openai/gpt-5-mini"),)),)
    assert await choose(batch("one"), replace(WORKSPACE, routes=routes)) == BY_PROVIDER
