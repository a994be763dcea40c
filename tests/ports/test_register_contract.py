"""What both registers promise: a change happens with its entry or not at all, and never over another one."""

import asyncio
from decimal import Decimal

import pytest
from msgspec.structs import replace

from tests.store_worlds import NOON, World, hold_tokens, key, outcome, workspace
from tidegate.domain.account import AccountScope, used_amount
from tidegate.domain.guardrails import Guardrail
from tidegate.domain.ids import ulid
from tidegate.domain.keys import previous_key
from tidegate.domain.limits import Limits
from tidegate.domain.managed_resources import AdminKey, AuditEntry, Member, Plan, Resource, ResourceChange
from tidegate.domain.routes import Route, RouteTarget
from tidegate.domain.workspace import WorkspaceCredential
from tidegate.errors import AccountBusy, AlreadyExists, Stale

LIMITS = Limits(requests_per_minute=5, usd_per_month=Decimal("12.5"), models=("openai/*",))
PLAN = Plan("plan_small", "Small", LIMITS, NOON)
ADMIN = AdminKey("adm_one", "0" * 64, "sk-tidegate-admin-abcd", ("read", "write"), ("ws_one",), "Ada", created_at=NOON)
MEMBER = Member("ws_one", "ada@example.com", "admin", NOON)
ROUTE = Route(
    "fast",
    (RouteTarget("openai/gpt-4o", 3), RouteTarget("bedrock/m", region="eu-west-1")),
    by="weight",
    sticky=True,
    fallbacks=("openai/gpt-4o-mini",),
    timeout_seconds=2.5,
    cooldown_seconds=60.0,
)
GUARDRAILS = (
    Guardrail("plans", "words", words=("plan",), always=True, timeout_seconds=0.5),
    Guardrail("form", "json_schema", on="output", schema='{"type":"object"}'),
)
WORKSPACE = replace(
    workspace(),
    credentials=(WorkspaceCredential("OPENAI_API_KEY", NOON - 0.5),),
    routes=(ROUTE,),
    guardrails=GUARDRAILS,
    cache_ttl_seconds=60,
    timeout_seconds=2.5,
    batch_webhook="https://hook.example/batches",
    batch_mode="provider_batch",
)
KINDS: list[Resource] = [PLAN, ADMIN, MEMBER, WORKSPACE, key()]

kinds = pytest.mark.parametrize("made", KINDS, ids=lambda made: type(made).__name__)


def entry(action: str = "create", at: float = NOON, **fields: object) -> AuditEntry:
    made = AuditEntry(ulid(at), at, "adm_one", action, "plans/plan_small", ("ws_one",), None, {"name": "Small"})
    return replace(made, **fields)


async def change(world: World, before: Resource | None, after: Resource | None) -> None:
    await world.register.change([ResourceChange(before, after)], entry())


async def find(world: World, resource: Resource) -> Resource | None:
    name = resource.subject if isinstance(resource, Member) else resource.id
    return await world.register.find(type(resource), name, "ws_one")


@kinds
async def test_what_is_made_is_found_as_it_was(world: World, made: Resource) -> None:
    assert await find_nothing(world, made)
    await change(world, None, made)
    within = "ws_one" if isinstance(made, Member) or hasattr(made, "default_workspace_id") else ""
    assert await world.register.page(type(made), workspace_id=within) == [made]


async def find_nothing(world: World, made: Resource) -> bool:
    return await find(world, made) is None and await world.register.page(type(made)) == []


@kinds
async def test_what_is_there_is_not_made_again(world: World, made: Resource) -> None:
    await change(world, None, made)
    with pytest.raises(AlreadyExists):
        await change(world, None, made)
    assert len(await world.register.entries(None, None, 10)) == 1


@kinds
async def test_a_change_over_another_is_refused(world: World, made: Resource) -> None:
    await change(world, None, made)
    second = replace(made, version=2)
    await change(world, made, second)
    with pytest.raises(Stale):
        await change(world, made, replace(made, version=2))
    with pytest.raises(Stale):
        await change(world, replace(made, version=3), None)
    await change(world, second, replace(made, version=3))


async def test_all_changes_happen_or_none(world: World) -> None:
    await change(world, None, PLAN)
    changes = [ResourceChange(None, workspace()), ResourceChange(None, PLAN)]
    with pytest.raises(AlreadyExists):
        await world.register.change(changes, entry())
    other = [ResourceChange(None, workspace()), ResourceChange(replace(PLAN, version=7), replace(PLAN, version=8))]
    with pytest.raises(Stale):
        await world.register.change(other, entry())
    assert await world.register.page(type(workspace())) == []
    assert await world.register.page(Plan) == [PLAN]
    assert len(await world.register.entries(None, None, 10)) == 1


async def test_what_a_change_relies_on_must_still_be_so(world: World) -> None:
    await change(world, None, PLAN)
    await world.register.change([ResourceChange(PLAN, PLAN), ResourceChange(None, workspace())], entry())
    newer = replace(PLAN, version=2)
    await change(world, PLAN, newer)
    with pytest.raises(Stale):
        await world.register.change([ResourceChange(PLAN, PLAN), ResourceChange(None, workspace("ws_two"))], entry())
    assert await world.register.page(Plan) == [newer]


async def test_of_two_changes_at_once_one_wins(world: World) -> None:
    await change(world, None, PLAN)
    made = [replace(PLAN, name=name, version=2) for name in ("A", "B", "C")]
    results = await asyncio.gather(*(change(world, PLAN, each) for each in made), return_exceptions=True)
    assert sorted(type(result).__name__ for result in results) == ["NoneType", "Stale", "Stale"]


async def test_what_is_deleted_is_gone(world: World) -> None:
    await change(world, None, MEMBER)
    await change(world, MEMBER, None)
    assert await world.register.find(Member, MEMBER.subject, "ws_one") is None
    with pytest.raises(Stale):
        await change(world, MEMBER, replace(MEMBER, version=2))


async def test_a_page_follows_a_page(world: World) -> None:
    names = ["ws_a", "ws_a-b", "ws_ab", "ws_b", "ws_c"]
    for name in names:
        await change(world, None, workspace(name))
    seen: list[str] = []
    while page := await world.register.page(type(workspace()), seen[-1] if seen else "", 2):
        assert len(page) <= 2
        seen += [each.id for each in page]
    assert seen == names
    assert await world.register.page(type(workspace()), "ws_zzz") == []


async def test_names_that_cannot_be_find_nothing(world: World) -> None:
    for name in ("", "x" * 5000, "ws_one\u0000", "PLAN#"):
        assert await world.register.find(Plan, name) is None
        assert await world.register.find(type(key()), name, name) is None


async def test_the_log_is_read_backwards_by_workspace_or_whole(world: World) -> None:
    made = [entry(at=NOON + n, workspace_ids=("ws_one",) if n % 2 else ("ws_two",)) for n in range(4)]
    for n, each in enumerate(made):
        await world.register.change([ResourceChange(None, replace(PLAN, id=f"plan_{n}"))], each)
    assert await world.register.entries(None, None, 3) == [made[3], made[2], made[1]]
    assert await world.register.entries(None, made[1].id, 3) == [made[0]]
    assert await world.register.entries("ws_one", None, 10) == [made[3], made[1]]
    assert await world.register.entries("ws_three", None, 10) == []


async def test_a_rotated_key_opens_with_both_secrets(world: World) -> None:
    old, new = key(), key("sk-tidegate-new")
    rotated = replace(
        old,
        hash=new.hash,
        prefix=new.prefix,
        previous_hash=old.hash,
        previous_prefix=old.prefix,
        previous_expires_at=NOON + 60,
        version=2,
    )
    await change(world, None, workspace())
    await change(world, None, old)
    await change(world, old, rotated)
    assert await world.directory.find_key(new.hash, "ws_one") == (rotated, workspace())
    assert (await world.directory.find_key(old.hash, "ws_one"))[0] == previous_key(rotated)
    assert await world.keys.list_keys("ws_one") == [rotated]
    third = replace(rotated, hash="3" * 64, previous_hash=new.hash, version=3)
    await change(world, rotated, third)
    assert (await world.directory.find_key(old.hash, "ws_one"))[0] is None
    assert await world.keys.revoke_key("ws_one", old.id)
    for secret in ("3" * 64, new.hash):
        found = (await world.directory.find_key(secret, "ws_one"))[0]
        assert found is not None
        assert found.status == "revoked"


async def test_an_account_is_opened_anew_with_what_was_used(world: World) -> None:
    limits = Limits(tokens_per_month=1000)
    before, after = workspace(), replace(workspace(), limits=limits, version=2)
    scope, stale_scope = (
        AccountScope("workspace", "ws_one", limits),
        AccountScope("workspace", "ws_one", Limits(tokens_per_day=100)),
    )
    await change(world, None, before)
    taken = await hold_tokens(world, stale_scope, 10)
    await world.meter.record(outcome(id=taken.call_id, hold=taken))
    await world.meter.record(outcome())
    await world.register.change([ResourceChange(before, after)], entry(), [after])
    await hold_tokens(world, scope, 1)
    account = await world.ledger.account(scope)
    assert used_amount(account, "tokens", "month", NOON) == used_amount(account, "tokens", "day", NOON) == 46


@pytest.mark.parametrize("is_batch", [False, True])
async def test_an_account_with_open_calls_is_not_opened_anew(world: World, is_batch: bool) -> None:
    before, after = workspace(), replace(workspace(), first_day=15, version=2)
    await change(world, None, before)
    scope = AccountScope("workspace", "ws_one", Limits(tokens_per_month=1000))
    await hold_tokens(world, scope, 10, is_batch=is_batch)
    with pytest.raises(AccountBusy):
        await world.register.change([ResourceChange(before, after)], entry(), [after])
    assert await world.register.find(type(before), "ws_one") == before


@kinds
async def test_what_is_deleted_is_gone_and_can_be_made_again(world: World, made: Resource) -> None:
    await change(world, None, made)
    await change(world, made, None)
    within = "ws_one" if isinstance(made, Member) or hasattr(made, "default_workspace_id") else ""
    assert await world.register.page(type(made), workspace_id=within) == []
    await change(world, None, made)
    assert await world.register.page(type(made), workspace_id=within) == [made]


async def test_a_workspace_with_a_running_call_is_not_deleted_with_its_account(world: World) -> None:
    await change(world, None, WORKSPACE)
    await hold_tokens(world, AccountScope("workspace", "ws_one", LIMITS), 10)
    with pytest.raises(AccountBusy):
        await world.register.change([ResourceChange(WORKSPACE, None)], entry("delete"), [WORKSPACE])
    assert await find(world, WORKSPACE) == WORKSPACE
    await world.register.change([ResourceChange(WORKSPACE, None)], entry("delete"))
    assert await find(world, WORKSPACE) is None
