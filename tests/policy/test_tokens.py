"""Callers with access tokens: proved by a verifier that the test plays, and then like any other."""

import asyncio

import pytest
from msgspec.structs import replace

from tests.store_worlds import NOON, Clock, key, workspace
from tidegate.domain.identity import Identity, hash_subject
from tidegate.domain.keys import subject_key
from tidegate.domain.limits import Limits
from tidegate.domain.workspace import Principal, RequestSource, VirtualKey, Workspace
from tidegate.errors import (
    ExpiredToken,
    InvalidKey,
    IssuerUnavailable,
    MissingWorkspace,
    NetworkNotAllowed,
    TidegateError,
    WorkspaceForbidden,
)
from tidegate.memory.tenants import MemoryTenants, storage_name
from tidegate.policy.auth.authenticator import Authenticator

ISSUER = "https://issuer.example"
HASH = hash_subject(ISSUER, "service-1")
ID = f"oidc:{HASH[:16]}"
TOKEN = "head.claims.signature"
GIVEN = subject_key(ISSUER, "service-1", ("ws_one",))
GRANT_ID = GIVEN.id


class Verifier:
    """The port Tokens: every token is the same somebody's, for ten minutes, unless there is a `failure`."""

    def __init__(self, workspace_ids: tuple[str, ...] | None) -> None:
        self.identity = Identity(HASH, NOON + 600, workspace_ids)
        self.failure: TidegateError | None = None
        self.asked: list[str] = []

    async def verify(self, token: str) -> Identity:
        self.asked.append(token)
        await asyncio.sleep(0)
        if self.failure is not None:
            raise self.failure
        return self.identity


class Bench:
    def __init__(self, *stored: VirtualKey, claimed: tuple[str, ...] | None = None, verifies: bool = True) -> None:
        spaces = (workspace("ws_one"), workspace("ws_two"), replace(workspace("ws_off"), status="suspended"))
        self.tenants = MemoryTenants({each.id: each for each in spaces}, {storage_name(each): each for each in stored})
        self.verifier = Verifier(claimed)
        self.clock = Clock()
        self.tenants.clock = self.clock
        tokens = self.verifier if verifies else None
        self.authenticator = Authenticator(self.tenants, access_tokens=tokens, monotonic=self.clock, clock=self.clock)

    async def __call__(
        self, bearer: str = TOKEN, workspace_id: str | None = None, **options: object
    ) -> tuple[Principal, Workspace]:
        return await self.authenticator.authenticate(f"Bearer {bearer}", workspace_id, **options)

    @property
    def work(self) -> tuple[int, int]:
        """Tokens verified, and reads of the directory."""
        return len(self.verifier.asked), self.tenants.reads


async def test_a_subject_opens_what_it_was_given() -> None:
    made = Bench(GIVEN)
    assert await made() == (Principal(GRANT_ID, ("ws_one",)), workspace("ws_one"))
    assert (made.verifier.asked, made.work) == ([TOKEN], (1, 1))


async def test_a_claim_opens_what_it_names_without_anything_stored() -> None:
    made = Bench(claimed=("ws_one", "ws_two"))
    assert await made(TOKEN, "ws_two") == (Principal(ID, ("ws_one", "ws_two")), workspace("ws_two"))
    assert made.work == (1, 1)
    with pytest.raises(MissingWorkspace):
        await made()


async def test_where_a_claim_is_configured_nothing_stored_counts() -> None:
    made = Bench(GIVEN, claimed=("ws_two",))
    with pytest.raises(WorkspaceForbidden):
        await made(TOKEN, "ws_one")
    assert (await made())[1] == workspace("ws_two")


@pytest.mark.parametrize("claimed", [("ws_one",), None])
@pytest.mark.parametrize("asked", ["ws_two", "ws_unknown", "w" * 5000])
async def test_foreign_and_unknown_workspaces_are_refused_alike(claimed: tuple[str, ...] | None, asked: str) -> None:
    made = Bench(GIVEN, claimed=claimed)
    with pytest.raises(WorkspaceForbidden) as caught:
        await made(TOKEN, asked)
    message = "This key may not use this workspace: it is unknown, suspended, or not granted."
    assert (caught.value.message, made.work) == (message, (1, 1 if claimed is None else 0))


@pytest.mark.parametrize("claimed", [("ws_off",), ("ws_gone",), ()])
async def test_a_claim_of_a_workspace_that_is_not_there_opens_nothing(claimed: tuple[str, ...]) -> None:
    with pytest.raises(WorkspaceForbidden):
        await Bench(claimed=claimed)()


@pytest.mark.parametrize(
    "stored", [(), (replace(GIVEN, status="revoked"),), (replace(GIVEN, expires_at=NOON),), (key(),)]
)
async def test_a_subject_that_was_given_nothing_is_refused(stored: tuple[VirtualKey, ...]) -> None:
    with pytest.raises(WorkspaceForbidden) as caught:
        await Bench(*stored)()
    assert caught.value.message == "This token's subject may not use any workspace here."


async def test_a_subject_has_limits_and_restrictions_like_a_key() -> None:
    limits = Limits(requests_per_minute=5)
    made = Bench(replace(GIVEN, limits=limits, networks=("203.0.113.0/24",)))
    principal, _ = await made(source=RequestSource("203.0.113.7", "/v1/models"))
    assert principal == Principal(GRANT_ID, ("ws_one",), limits)
    with pytest.raises(NetworkNotAllowed):
        await made()


async def test_a_token_is_remembered_for_sixty_seconds() -> None:
    made = Bench(GIVEN)
    await made()
    made.clock.now += 59.9
    await made()
    assert made.work == (1, 1)
    made.clock.now += 0.1
    await made()
    assert made.work == (2, 2)


async def test_a_token_is_never_remembered_beyond_its_end() -> None:
    made = Bench(GIVEN)
    made.clock.now += 590
    await made()
    made.clock.now += 10
    await made()  # clocks may be a minute apart, and the verifier takes it
    await made()
    assert made.work == (3, 3)
    made.verifier.failure = ExpiredToken("expired")
    with pytest.raises(ExpiredToken):
        await made()


async def test_what_a_subject_was_given_may_end_before_its_token() -> None:
    made = Bench(replace(GIVEN, expires_at=NOON + 10))
    await made()
    made.clock.now += 10
    with pytest.raises(WorkspaceForbidden):
        await made()


async def test_a_revoked_subject_is_refused_within_sixty_seconds() -> None:
    made = Bench(GIVEN)
    await made()
    await made.tenants.revoke_key("ws_one", GRANT_ID)
    made.clock.now += 60
    with pytest.raises(WorkspaceForbidden):
        await made()


async def test_a_dead_issuer_is_no_pass_and_is_not_remembered() -> None:
    made = Bench(GIVEN)
    made.verifier.failure = IssuerUnavailable("down")
    with pytest.raises(IssuerUnavailable):
        await made()
    made.verifier.failure = None
    await made()
    assert made.work == (2, 1)


async def test_callers_at_the_same_time_share_one_verification() -> None:
    made = Bench(GIVEN)
    await asyncio.gather(*(made() for _ in range(20)))
    assert made.work == (1, 1)


@pytest.mark.parametrize("bearer", ["a.b", "a.b.c.d", "sk-tidegate-one", "..."])
async def test_all_that_has_not_three_parts_is_a_key(bearer: str) -> None:
    made = Bench(key(bearer))
    await made(bearer)
    assert made.work == (0, 1)


async def test_without_an_issuer_everything_is_a_key() -> None:
    made = Bench(key(TOKEN), verifies=False)
    assert (await made())[1] == workspace("ws_one")


async def test_no_secret_opens_what_a_subject_was_given() -> None:
    made = Bench(GIVEN, verifies=False)
    for secret in (HASH, ID, TOKEN, "service-1"):
        with pytest.raises(InvalidKey):
            await made(secret)


OTHER = replace(subject_key(ISSUER, "service-1", ("ws_two",)), default_workspace_id="ws_two", limits=Limits(5))
OLD = replace(GIVEN, id=ID, limits=Limits(7))


@pytest.mark.parametrize("first", [GIVEN, OLD], ids=["grant", "only grant"])
async def test_with_two_grants_the_header_decides_and_each_has_its_own_limits(first: VirtualKey) -> None:
    bench = Bench(first, OTHER)
    for grant, workspace_id in ((first, "ws_one"), (OTHER, "ws_two")):
        expected = Principal(grant.id, (workspace_id,), grant.limits), workspace(workspace_id)
        assert await bench(TOKEN, workspace_id) == expected
    with pytest.raises(MissingWorkspace):  # whatever default one of them has
        await bench()
    allowed = await bench.authenticator.list_workspaces(f"Bearer {TOKEN}")
    assert [each.id for each in allowed] == ["ws_one", "ws_two"]
    with pytest.raises(WorkspaceForbidden) as caught:
        await bench(TOKEN, "ws_off")
    assert caught.value.message.startswith("This key may not use this workspace")


@pytest.mark.parametrize("ended", [replace(OTHER, expires_at=NOON), replace(OTHER, status="revoked")])
async def test_a_grant_that_has_ended_does_not_make_the_other_ambiguous(ended: VirtualKey) -> None:
    bench = Bench(GIVEN, ended)
    assert (await bench())[1] == workspace("ws_one")
    with pytest.raises(WorkspaceForbidden):
        await bench(TOKEN, "ws_two")


async def test_the_list_of_workspaces_obeys_the_grants_networks() -> None:
    inner, outer = RequestSource("203.0.113.7", "/v1/models"), RequestSource("192.0.2.1", "/v1/models")
    grants = replace(GIVEN, networks=("203.0.113.0/24",)), replace(OTHER, networks=("203.0.113.7/32",))
    bench = Bench(*grants)
    assert len(await bench.authenticator.list_workspaces(f"Bearer {TOKEN}", source=inner)) == 2
    with pytest.raises(NetworkNotAllowed):
        await bench.authenticator.list_workspaces(f"Bearer {TOKEN}", source=outer)
