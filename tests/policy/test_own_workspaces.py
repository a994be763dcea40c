"""Which workspaces a caller may use: asked without naming one, by the same proof as every call."""

import pytest
from msgspec.structs import replace

from tidegate.domain.keys import hash_secret
from tidegate.domain.workspace import RequestSource, VirtualKey, Workspace
from tidegate.errors import EndpointNotAllowed, InvalidKey, TooManyFailures
from tidegate.memory.tenants import MemoryTenants
from tidegate.policy.auth.authenticator import Authenticator
from tidegate.policy.auth.throttle import FREE_FAILURES

SECRET = "sk-tidegate-several"
KEY = VirtualKey("key_several", hash_secret(SECRET), "sk-tide", ("ws_b", "ws_a", "ws_gone", "ws_off"), None)
SPACES = (Workspace("ws_a", "A"), Workspace("ws_b", "B"), Workspace("ws_off", "Off", status="suspended"))


def tenants(key: VirtualKey = KEY) -> MemoryTenants:
    return MemoryTenants({each.id: each for each in (*SPACES, Workspace("ws_foreign", "Foreign"))}, {key.hash: key})


async def test_they_are_the_active_ones_that_the_key_names() -> None:
    found = await Authenticator(tenants()).list_workspaces(f"Bearer {SECRET}")
    assert found == [SPACES[0], SPACES[1]]


async def test_a_key_that_is_known_is_not_read_again() -> None:
    directory = tenants(replace(KEY, workspace_ids=("ws_a",)))
    authenticator = Authenticator(directory)
    await authenticator.authenticate(f"Bearer {SECRET}", None)
    assert directory.reads == 1
    assert await authenticator.list_workspaces(f"Bearer {SECRET}") == [SPACES[0]]
    assert directory.reads == 2  # of the workspaces alone


@pytest.mark.parametrize("header", [None, "", "Bearer nobody", f"Basic {SECRET}"])
async def test_nobody_has_none(header: str | None) -> None:
    with pytest.raises(InvalidKey):
        await Authenticator(tenants()).list_workspaces(header)


@pytest.mark.parametrize("changed", [{"status": "revoked"}, {"expires_at": 1.0}])
async def test_a_key_that_is_over_has_none(changed: dict[str, object]) -> None:
    with pytest.raises(InvalidKey):
        await Authenticator(tenants(replace(KEY, **changed))).list_workspaces(f"Bearer {SECRET}")


async def test_a_restricted_key_may_not_ask() -> None:
    chatting = tenants(replace(KEY, endpoints=("/v1/chat/*",)))
    with pytest.raises(EndpointNotAllowed):
        source = RequestSource("203.0.113.7", "/api/workspace-service/v1/workspaces")
        await Authenticator(chatting).list_workspaces(f"Bearer {SECRET}", source=source)


async def test_guesses_are_counted_here_too() -> None:
    authenticator = Authenticator(tenants())
    for raised in (InvalidKey,) * FREE_FAILURES + (TooManyFailures,):
        with pytest.raises(raised):
            await authenticator.list_workspaces("Bearer nobody", source=RequestSource("203.0.113.7", "/"))
    assert await authenticator.list_workspaces(f"Bearer {SECRET}", source=RequestSource("203.0.113.7", "/"))
