"""Cached callers: `cached_caller` gives what `authenticate` would, where that need not wait or check more."""

import pytest
from msgspec.structs import replace

from tests.store_worlds import NOON, Clock, key, workspace
from tidegate.domain.workspace import Principal, RequestSource, VirtualKey, Workspace, WorkspaceStatus
from tidegate.errors import InvalidKey, WorkspaceForbidden
from tidegate.memory.tenants import MemoryTenants
from tidegate.policy.auth.authenticator import Authenticator, caller_key

SECRET = "sk-tidegate-one"
BEARER = f"Bearer {SECRET}"
ADMITTED = (Principal("key_one", ("ws_one",)), workspace("ws_one"))


class Bench:
    """An authenticator of one key, whose two clocks a test can move."""

    def __init__(self, stored: VirtualKey, *workspaces: Workspace) -> None:
        tenants = MemoryTenants({each.id: each for each in workspaces or [workspace("ws_one")]}, {stored.hash: stored})
        self.tenants, self.monotonic, self.wall = tenants, Clock(100.0), Clock(NOON)
        self.authenticator = Authenticator(tenants, monotonic=self.monotonic, clock=self.wall)

    async def admit(self, authorization: str = BEARER, workspace_id: str | None = None) -> None:
        await self.authenticator.authenticate(authorization, workspace_id)

    def cached_caller(self, authorization: bytes = BEARER.encode(), workspace_id: str | None = None) -> object:
        found_key = caller_key(authorization, workspace_id)
        return None if found_key is None else self.authenticator.cached_caller(found_key)


async def test_a_caller_is_cached_once_it_was_admitted() -> None:
    made = Bench(key())
    assert made.cached_caller() is None
    await made.admit()
    assert made.cached_caller() == ADMITTED
    await made.admit(f" bearer  {SECRET} ", "ws_one")
    assert made.cached_caller(workspace_id="ws_one") == ADMITTED


@pytest.mark.parametrize(
    "authorization",
    [
        *(b"", b"Bearer", b"Bearer ", SECRET.encode(), f"bearer {SECRET}".encode(), f"Basic {SECRET}".encode()),
        *(f"Bearer  {SECRET}".encode(), f"{BEARER} ".encode(), f"{BEARER}x".encode(), BEARER[:-1].encode()),
    ],
)
async def test_only_headers_in_their_usual_form_find_a_cached_caller(authorization: bytes) -> None:
    made = Bench(key())
    await made.admit()
    assert made.cached_caller(authorization) is None


async def test_a_key_that_is_not_ascii_is_found_in_no_encoding() -> None:
    made = Bench(key("täst"))
    await made.admit("Bearer täst")
    assert [made.cached_caller("Bearer täst".encode(encoding)) for encoding in ("latin-1", "utf-8")] == [None, None]


@pytest.mark.parametrize("workspace_id", ["", " ", "ws_two", " ws_one", "ws_one "])
async def test_each_workspace_is_cached_for_itself(workspace_id: str) -> None:
    made = Bench(key(workspace_ids=("ws_one", "ws_two")), workspace("ws_one"), workspace("ws_two"))
    await made.admit(workspace_id="ws_one")
    assert made.cached_caller() is made.cached_caller(workspace_id=workspace_id) is None


@pytest.mark.parametrize(("monotonic", "wall"), [(60.0, 0.0), (0.0, 60.0), (0.0, -60.0), (60.0, -3600.0)])
async def test_a_caller_is_cached_for_sixty_seconds_of_either_clock(monotonic: float, wall: float) -> None:
    made = Bench(key())
    await made.admit()
    made.monotonic.now += monotonic * 0.99
    made.wall.now += wall * 0.99 if wall > -3600 else 0
    assert made.cached_caller() == ADMITTED
    made.monotonic.now, made.wall.now = 100.0 + monotonic, NOON + wall
    assert made.cached_caller() is None


async def test_a_key_is_cached_until_it_expires() -> None:
    made = Bench(key(expires_at=NOON + 10))
    await made.admit()
    made.wall.now += 9.9
    assert made.cached_caller() == ADMITTED
    made.wall.now += 0.1
    assert made.cached_caller() is None


@pytest.mark.parametrize(
    "stored", [key(networks=("203.0.113.0/24",)), key(endpoints=("/v1/*",))], ids=["networks", "endpoints"]
)
async def test_a_restricted_key_is_always_checked(stored: VirtualKey) -> None:
    made = Bench(stored)
    await made.authenticator.authenticate(BEARER, None, source=RequestSource("203.0.113.7", "/v1/models"))
    assert made.cached_caller() is None


@pytest.mark.parametrize(
    ("stored", "status"),
    [(key(status="revoked"), "active"), (key(workspace_ids=("ws_two",)), "active"), (key(), "suspended")],
    ids=["revoked", "other workspace", "suspended"],
)
async def test_a_caller_who_is_refused_is_no_longer_cached(stored: VirtualKey, status: WorkspaceStatus) -> None:
    made = Bench(key())
    await made.admit()
    made.tenants.keys[stored.hash] = stored
    made.tenants.workspaces["ws_one"] = replace(workspace("ws_one"), status=status)
    assert made.cached_caller() == ADMITTED
    made.wall.now += 60
    for _ in range(2):
        assert made.cached_caller() is None
        with pytest.raises((InvalidKey, WorkspaceForbidden)):
            await made.admit()


async def test_the_secret_from_before_a_rotation_is_cached_until_it_expires() -> None:
    old = key()
    new = replace(key("sk-tidegate-two"), id=old.id, previous_hash=old.hash, previous_expires_at=NOON + 10)
    made = Bench(new)
    await made.admit()
    await made.admit("Bearer sk-tidegate-two")
    assert made.cached_caller() == made.cached_caller(b"Bearer sk-tidegate-two") == ADMITTED
    made.wall.now += 10
    assert (made.cached_caller(), made.cached_caller(b"Bearer sk-tidegate-two")) == (None, ADMITTED)
    with pytest.raises(InvalidKey):
        await made.admit()
