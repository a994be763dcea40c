from decimal import Decimal

import pytest
from msgspec.structs import replace

from tests.control.world import OF_ONE, READER, WHOLE, Managed
from tests.store_worlds import NOON, outcome
from tidegate.control import keys, workspaces
from tidegate.domain.account import AccountScope, Hold, Reservation
from tidegate.domain.identity import hash_subject, subject_id
from tidegate.domain.ids import ulid
from tidegate.domain.keys import hash_secret, is_usable
from tidegate.domain.limits import Amounts, Limits
from tidegate.domain.workspace import VirtualKey, Workspace
from tidegate.errors import (
    AdminForbidden,
    AlreadyExists,
    Conflict,
    InvalidRequest,
    KeyWithoutWorkspace,
    LimitBelowUsed,
    NotFound,
    Stale,
)


def asked(*workspace_ids: str, **fields: object) -> VirtualKey:
    return replace(VirtualKey("", "", "", workspace_ids or ("ws_one",), None, name="test"), **fields)


@pytest.fixture
async def tenants(world: Managed) -> Managed:
    for workspace_id in ("ws_one", "ws_two"):
        await workspaces.create_workspace(world.control, WHOLE, Workspace(workspace_id, workspace_id))
    return world


async def opened_by(world: Managed, secret: str) -> VirtualKey | None:
    found, _ = await world.stores.directory.find_key(hash_secret(secret), "ws_one")
    return found if found and is_usable(found, world.stores.clock()) else None


async def test_a_key_is_made_with_a_secret_that_is_nowhere_else(tenants: Managed) -> None:
    made = await keys.create_key(tenants.control, WHOLE, asked("ws_one", "ws_two"))
    assert made.secret is not None
    assert made.key.hash == hash_secret(made.secret)
    assert await opened_by(tenants, made.secret) == made.key
    assert await keys.list_keys(tenants.control, READER, "ws_two", "", 10) == [made.key]
    entries = await tenants.stores.register.entries("ws_two", None, 1)
    assert made.secret not in repr(entries)
    assert made.key.hash not in repr(entries)


async def test_the_same_idempotency_key_makes_one_key_and_shows_its_secret_once(tenants: Managed) -> None:
    first = await keys.create_key(tenants.control, WHOLE, asked(), "abc")
    assert first.secret
    assert await keys.create_key(tenants.control, WHOLE, asked(), "abc") == (first.key, None)
    with pytest.raises(AlreadyExists):
        await keys.create_key(tenants.control, WHOLE, asked(name="other"), "abc")
    assert len(await keys.list_keys(tenants.control, WHOLE, "ws_one", "", 10)) == 1


async def test_a_key_needs_workspaces_that_there_are(tenants: Managed) -> None:
    with pytest.raises(KeyWithoutWorkspace):
        await keys.create_key(tenants.control, WHOLE, replace(asked(), workspace_ids=()))
    with pytest.raises(NotFound):
        await keys.create_key(tenants.control, WHOLE, asked("ws_unknown"))
    for wrong, param in (
        (asked("ws_one", "ws_one"), "workspace_ids"),
        (asked(*(f"ws_{n}" for n in range(31))), "workspace_ids"),
        (asked(default_workspace_id="ws_two"), "default_workspace_id"),
        (asked(expires_at=NOON), "expires_at"),
        (asked(expires_at=-1e12), "expires_at"),
        (asked(expires_at=1e12), "expires_at"),
        (asked(limits=Limits(tokens_per_day=-1)), "limits.tokens_per_day"),
        (asked(name="x\x00"), "name"),
        (asked(endpoints=()), "endpoints"),
        (asked(endpoints=("chat",)), "endpoints"),
        (asked(networks=("everywhere",)), "networks"),
        (asked(trace_sample=-0.5), "trace_sample"),
    ):
        with pytest.raises(InvalidRequest) as caught:
            await keys.create_key(tenants.control, WHOLE, wrong)
        assert caught.value.param == param


async def test_a_rotated_key_overlaps(tenants: Managed) -> None:
    key, first = await keys.create_key(tenants.control, WHOLE, asked(limits=Limits(tokens_per_day=5)))
    key, second = await keys.rotate_key(tenants.control, WHOLE, key, 60, key.version)
    assert first and second
    for secret in (first, second):
        known = await opened_by(tenants, secret)
        assert known is not None
        assert (known.id, known.limits) == (key.id, key.limits)
    tenants.stores.clock.now += 60
    assert await opened_by(tenants, first) is None
    assert await opened_by(tenants, second) == key
    key, third = await keys.rotate_key(tenants.control, WHOLE, key, 0)
    assert third
    assert await opened_by(tenants, second) is None
    assert await opened_by(tenants, third) == key
    assert [action for action, _ in await tenants.log()] == ["create", "create", "create", "rotate", "rotate"]


async def test_who_may_not_read_content_gets_no_older_traces_by_rotating_a_key(tenants: Managed) -> None:
    key, _ = await keys.create_key(tenants.control, WHOLE, asked(), "once")
    key, _ = await keys.rotate_key(tenants.control, WHOLE, key, 60)
    assert key.traces_since == 0
    key, _ = await keys.rotate_key(tenants.control, replace(WHOLE, scopes=("read", "write")), key, 60)
    assert key.traces_since == tenants.stores.clock.now + 60
    key, secret = await keys.rotate_key(tenants.control, WHOLE, key, 0)
    assert (secret is not None, await opened_by(tenants, secret or "")) == (True, key)
    assert key.traces_since == tenants.stores.clock.now + 60
    again, _ = await keys.create_key(tenants.control, WHOLE, asked(), "once")
    assert again == key


async def test_a_key_that_opens_nothing_is_not_rotated(tenants: Managed) -> None:
    key, _ = await keys.create_key(tenants.control, WHOLE, asked())
    for seconds in (-1, keys.MAX_OVERLAP_SECONDS + 1):
        with pytest.raises(InvalidRequest):
            await keys.rotate_key(tenants.control, WHOLE, key, seconds)
    key = await keys.revoke_key(tenants.control, WHOLE, key)
    with pytest.raises(Conflict):
        await keys.rotate_key(tenants.control, WHOLE, key, 60)


async def test_a_revoked_key_opens_with_none_of_its_secrets(tenants: Managed) -> None:
    key, first = await keys.create_key(tenants.control, WHOLE, asked())
    key, second = await keys.rotate_key(tenants.control, WHOLE, key, 60)
    key = await keys.revoke_key(tenants.control, WHOLE, key)
    assert first and second
    assert [await opened_by(tenants, secret) for secret in (first, second)] == [None, None]
    assert await keys.revoke_key(tenants.control, WHOLE, key) == key


async def test_a_limit_below_what_the_key_used_needs_force(tenants: Managed) -> None:
    key, _ = await keys.create_key(tenants.control, WHOLE, asked(limits=Limits(tokens_per_day=100)))
    taken = Hold(ulid(NOON), "ws_one", key.id, "demo/x", Amounts(50, usd=Decimal(1)), 0, NOON, NOON + 660, ("key",))
    await tenants.stores.ledger.reserve(Reservation(taken, (AccountScope("key", key.id, key.limits),)))
    await tenants.stores.meter.record(outcome(id=taken.call_id, hold=taken))  # 23 tokens
    lower = replace(key, limits=Limits(tokens_per_day=22))
    with pytest.raises(LimitBelowUsed) as caught:
        await keys.update_key(tenants.control, WHOLE, key, lower, 1)
    assert caught.value.param == "limits.tokens_per_day"
    assert (await keys.update_key(tenants.control, WHOLE, key, lower, 1, force=True)).version == 2


async def test_a_key_is_limited_to_endpoints_and_networks(tenants: Managed) -> None:
    limited = asked(endpoints=("/v1/chat/*",), networks=("192.0.2.0/24",))
    made = await keys.create_key(tenants.control, WHOLE, limited, "abc")
    assert (made.key.endpoints, made.key.networks) == (("/v1/chat/*",), ("192.0.2.0/24",))
    assert await keys.create_key(tenants.control, WHOLE, limited, "abc") == (made.key, None)


async def test_a_stale_version_changes_nothing(tenants: Managed) -> None:
    key, _ = await keys.create_key(tenants.control, WHOLE, asked())
    await keys.update_key(tenants.control, WHOLE, key, replace(key, name="new"), 1)
    for change in (
        keys.update_key(tenants.control, WHOLE, key, replace(key, name="newer"), None),
        keys.rotate_key(tenants.control, WHOLE, key, 0),
        keys.revoke_key(tenants.control, WHOLE, key),
        keys.revoke_key(tenants.control, WHOLE, key, 7),
    ):
        with pytest.raises(Stale):
            await change
    assert [each.name for each in await keys.list_keys(tenants.control, WHOLE, "ws_one", "", 10)] == ["new"]


async def test_an_admin_of_one_workspace_has_the_keys_of_that_one_alone(tenants: Managed) -> None:
    own, _ = await keys.create_key(tenants.control, OF_ONE, asked())
    shared, _ = await keys.create_key(tenants.control, WHOLE, asked("ws_one", "ws_two"))
    assert set(await keys.list_keys(tenants.control, OF_ONE, "ws_one", "", 10)) == {own, shared}
    for attempt in (
        keys.create_key(tenants.control, OF_ONE, asked("ws_one", "ws_two")),
        keys.list_keys(tenants.control, OF_ONE, "ws_two", "", 10),
        keys.find_key(tenants.control, OF_ONE, "ws_two", shared.id),
    ):
        with pytest.raises(NotFound):
            await attempt
    for attempt in (
        keys.revoke_key(tenants.control, OF_ONE, shared),
        keys.rotate_key(tenants.control, OF_ONE, shared, 0),
    ):
        with pytest.raises(AdminForbidden) as caught:
            await attempt
        assert "ws_two" not in caught.value.message
    with pytest.raises(AdminForbidden):
        await keys.create_key(tenants.control, READER, asked())


ISSUER = "https://issuer.example"


async def given_to(world: Managed, subject: str) -> VirtualKey | None:
    return (await world.stores.directory.find_subject(hash_subject(ISSUER, subject), "ws_one"))[0]


async def test_a_subject_is_given_workspaces_and_no_secret(tenants: Managed) -> None:
    wanted = asked("ws_one", "ws_two", limits=Limits(tokens_per_day=5), networks=(" 192.0.2.1",))
    key, is_new = await keys.create_key_for_subject(tenants.control, WHOLE, wanted, ISSUER, "service-1")
    assert (await given_to(tenants, "service-1"), is_new) == (key, True)
    assert (key.id[:5], key.prefix, key.networks, key.limits) == ("oidc:", "", ("192.0.2.1/32",), wanted.limits)
    assert await keys.create_key_for_subject(tenants.control, WHOLE, wanted, ISSUER, "service-1") == (key, False)
    with pytest.raises(AlreadyExists):
        await keys.create_key_for_subject(tenants.control, WHOLE, asked(name="other"), ISSUER, "service-1")
    with pytest.raises(Conflict):
        await keys.rotate_key(tenants.control, WHOLE, key, 60)
    changed = await keys.update_key(tenants.control, WHOLE, key, replace(key, name="Service"), key.version)
    assert await given_to(tenants, "service-1") == changed


async def test_a_subject_that_was_revoked_may_be_given_something_else(tenants: Managed) -> None:
    key, _ = await keys.create_key_for_subject(tenants.control, WHOLE, asked("ws_one"), ISSUER, "service-1")
    revoked = await keys.revoke_key(tenants.control, WHOLE, key, key.version)
    assert (revoked.status, await given_to(tenants, "service-1")) == ("revoked", None)
    other, _ = await keys.create_key_for_subject(tenants.control, WHOLE, asked("ws_one"), ISSUER, "service-1")
    assert await given_to(tenants, "service-1") == other
    log = [action for action, target in await tenants.log() if target == f"keys/{key.id}"]
    assert log == ["create", "create", "revoke"]


async def test_a_subject_is_given_what_a_key_may_be_and_by_who_may(tenants: Managed) -> None:
    for issuer, subject in (("", "x"), (ISSUER, ""), (ISSUER, "x" * 256)):
        with pytest.raises(InvalidRequest):
            await keys.create_key_for_subject(tenants.control, WHOLE, asked(), issuer, subject)
    with pytest.raises(NotFound):
        await keys.create_key_for_subject(tenants.control, WHOLE, asked("ws_unknown"), ISSUER, "x")
    with pytest.raises(AdminForbidden):
        await keys.create_key_for_subject(tenants.control, READER, asked("ws_two"), ISSUER, "x")
    with pytest.raises(NotFound):
        await keys.create_key_for_subject(tenants.control, OF_ONE, asked("ws_two"), ISSUER, "x")
    long, _ = await keys.create_key_for_subject(tenants.control, WHOLE, replace(asked(), name=""), ISSUER, "x" * 255)
    odd, _ = await keys.create_key_for_subject(tenants.control, WHOLE, replace(asked(), name=""), ISSUER, "a\nb")
    assert (long.name, odd.name) == ("x" * 200, "")


@pytest.mark.parametrize("owners", [("ws_one", "ws_two"), ("ws_two", "ws_one")])
async def test_two_workspaces_grant_one_person_and_neither_touches_the_others_grant(
    tenants: Managed, owners: tuple[str, str]
) -> None:
    first, second = (replace(OF_ONE, workspace_ids=(owner,)) for owner in owners)
    limits = Limits(tokens_per_day=5)
    theirs, _ = await keys.create_key_for_subject(
        tenants.control, first, asked(owners[0], limits=limits), ISSUER, "ceo"
    )
    ours, is_new = await keys.create_key_for_subject(tenants.control, second, asked(owners[1]), ISSUER, "ceo")
    assert is_new
    assert ours.id != theirs.id  # so that records and accounts differ, too
    for actor, workspace_id, grant in ((first, owners[0], theirs), (second, owners[1], ours)):
        assert await keys.list_keys(tenants.control, actor, workspace_id, "", 10) == [grant]
        for foreign in {ours, theirs} - {grant}:
            with pytest.raises(NotFound):
                await keys.find_key(tenants.control, actor, workspace_id, foreign.id)
            with pytest.raises(AdminForbidden):
                await keys.revoke_key(tenants.control, actor, foreign)
    await keys.revoke_key(tenants.control, second, ours)
    assert await keys.list_keys(tenants.control, first, owners[0], "", 10) == [theirs]


async def test_a_grant_of_several_workspaces_collides_with_one_of_any_of_them(tenants: Managed) -> None:
    await keys.create_key_for_subject(tenants.control, OF_ONE, asked("ws_one"), ISSUER, "ceo")
    for workspace_ids in (("ws_one", "ws_two"), ("ws_two", "ws_one")):
        with pytest.raises(AlreadyExists) as caught:
            await keys.create_key_for_subject(tenants.control, WHOLE, asked(*workspace_ids), ISSUER, "ceo")
        assert caught.value.param == "subject"
    key, _ = await keys.create_key_for_subject(tenants.control, WHOLE, asked("ws_two"), ISSUER, "ceo")
    with pytest.raises(AlreadyExists):
        await keys.create_key_for_subject(tenants.control, WHOLE, asked("ws_two", name="other"), ISSUER, "ceo")
    assert await keys.find_key(tenants.control, WHOLE, "ws_two", key.id) == key


async def test_a_grant_from_when_a_subject_had_one_is_found_changed_and_revoked(tenants: Managed) -> None:
    subject_hash = hash_subject(ISSUER, "ceo")
    old = VirtualKey(subject_id(subject_hash), subject_hash, "", ("ws_one",), None, name="ceo", created_at=NOON)
    assert await tenants.stores.keys.put_key(old)
    repeated = await keys.create_key_for_subject(tenants.control, OF_ONE, replace(asked(), name="ceo"), ISSUER, "ceo")
    assert repeated == (old, False)
    with pytest.raises(AlreadyExists):
        await keys.create_key_for_subject(tenants.control, OF_ONE, asked(name="other"), ISSUER, "ceo")
    _, is_new = await keys.create_key_for_subject(tenants.control, WHOLE, asked("ws_two"), ISSUER, "ceo")
    assert is_new
    changed = await keys.update_key(tenants.control, OF_ONE, old, replace(old, name="Ada"), 1)
    assert await given_to(tenants, "ceo") == changed
    await keys.revoke_key(tenants.control, OF_ONE, changed)
    assert await given_to(tenants, "ceo") is None
    assert (await keys.create_key_for_subject(tenants.control, OF_ONE, asked(), ISSUER, "ceo"))[1]


async def test_a_grant_is_for_the_issuer_whose_tokens_are_accepted(tenants: Managed) -> None:
    control = replace(tenants.control, issuer=ISSUER)
    with pytest.raises(InvalidRequest) as caught:
        await keys.create_key_for_subject(control, WHOLE, asked(), f"{ISSUER}/", "ceo")
    assert caught.value.param == "issuer"
    assert (await keys.create_key_for_subject(control, WHOLE, asked(), ISSUER, "ceo"))[1]
