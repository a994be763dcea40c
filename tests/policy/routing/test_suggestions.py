"""The names in the error for an unknown model: those that this caller could use now."""

import re

import httpx
import pytest
from msgspec.structs import replace

from tests.world import KEY, USER, WORKSPACE, world
from tidegate.catalog import load_catalog
from tidegate.domain.deployment import ProviderConfig
from tidegate.domain.limits import NO_LIMITS, Limits
from tidegate.domain.routes import Route, RouteTarget
from tidegate.domain.workspace import Workspace, WorkspaceCredential
from tidegate.errors import ModelNotFound
from tidegate.policy.routing.router import Router

PROVIDERS = ("openai", "anthropic", "gemini", "groq")
ROUTES = (Route("fast-gpt", (RouteTarget("openai/gpt-4o"),)), Route("fast-claude", (RouteTarget("groq/llama"),)))


def router(*configured: str) -> Router:
    configs = {
        name: ProviderConfig(name, "", f"{name}_KEY", () if name in configured else (f"{name}_KEY",))
        for name in PROVIDERS
    }
    return Router(configs, {"google": "gemini"}, load_catalog(), routes=ROUTES)


def suggested(
    model_id: str, *configured: str, workspace: Workspace = WORKSPACE, key_limits: Limits = NO_LIMITS
) -> list[str]:
    with pytest.raises(ModelNotFound) as raised:
        router(*configured).resolve(model_id, workspace, key_limits)
    found = re.fullmatch(r".+ does not exist\. Did you mean (.+)\?", raised.value.message)
    return found[1].split(", ") if found else []


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("openia/gpt4o", "openai/gpt-4o"),
        ("gpt-4oo", "openai/gpt-4o"),
        ("anthropics/claude-3.5-sonnet-v2", "anthropic/claude-3-5-sonnet"),
        ("googel/gemini-25-flash", "gemini/gemini-2.5-flash"),
        ("fast-gtp", "fast-gpt"),
    ],
)
def test_a_wrong_name_is_answered_with_near_ones(wrong: str, right: str) -> None:
    near = suggested(wrong, *PROVIDERS)
    assert right in near and len(near) == len({*near}) <= 3


def test_nothing_is_near_to_nonsense() -> None:
    assert [suggested(name, *PROVIDERS) for name in ("", "q", "zzzzzzzz")] == [[], [], []]


def test_only_configured_providers_are_suggested() -> None:
    assert suggested("gpt-4oo", "anthropic") == []
    assert {name.partition("/")[0] for name in suggested("claude-sonnet", "anthropic", "openai")} == {"anthropic"}
    own_key = replace(WORKSPACE, credentials=(WorkspaceCredential("openai_KEY", 0.0),))
    assert "openai/gpt-4o" in suggested("gpt-4oo", "anthropic", workspace=own_key)


def test_routes_without_a_configured_target_are_not_suggested() -> None:
    assert "fast-claude" in suggested("fast-claud", "groq", "openai")
    assert "fast-claude" not in suggested("fast-claud", "openai")


def test_only_what_the_workspace_and_the_key_may_use_is_suggested() -> None:
    mini = Limits(models=("openai/gpt-4o-mini*",))
    assert suggested("gpt-4oo", "openai", key_limits=mini)[0].startswith("openai/gpt-4o-mini")
    for workspace, key in ((replace(WORKSPACE, limits=mini), NO_LIMITS), (WORKSPACE, mini)):
        near = suggested("gpt-4oo", "openai", workspace=workspace, key_limits=key)
        assert near and all(name.startswith("openai/gpt-4o-mini") for name in near)
    assert suggested("fast-gtp", "openai", key_limits=mini) == []
    assert suggested("fast-gtp", "openai", key_limits=Limits(models=("fast-*",))) == ["fast-gpt"]


@pytest.mark.parametrize("fields", [{}, {"fallbacks": ["openai/gpt-4o-mini"]}, {"dry_run": True}])
async def test_the_keys_limits_reach_every_call(fields: dict[str, object]) -> None:
    def refuse(request: httpx.Request) -> httpx.Response:
        raise AssertionError(request.url)

    mini = replace(KEY, limits=Limits(models=("openai/gpt-4o-mini*",)))
    async with world(refuse, key=mini) as client:
        reply = await client.post({"model": "openaai/gpt-4o", "messages": USER, **fields})
        message = str(reply.json)
        assert "openai/gpt-4o-mini" in message and "openai/gpt-4o," not in message and "gpt-4.1" not in message
        shown = (await client.get("/v1/models/openaai/gpt-4o")).json["error"]["message"]
        assert "openai/gpt-4o-mini" in shown and "openai/gpt-4o," not in shown
