"""What callers learn of their own workspace: what they used, what is left, in three dialects."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from tests.world import KEY, USER, WORKSPACE, Client, Exchange, Gated, Handler, world
from tidegate.domain.account import Account
from tidegate.domain.limits import Limits
from tidegate.domain.workspace import VirtualKey, Workspace

CALL = {"model": "openai/gpt-4.1-mini", "messages": USER, "max_tokens": 100}
"""Uses 14 + 12 tokens and 9 words."""

USAGE_TYPES = "/api/usage-service/v1/workspaces/ws_test/quotas"
WORKSPACES = "/api/workspace-service/v1/workspaces"
PATHS = ("/v1/usage", "/v1/quotas", "/v1/balance", "/balance", WORKSPACES, USAGE_TYPES)
NOON = 1_795_262_400.0
"""2026-11-21T12:00:00Z"""


@asynccontextmanager
async def at_noon(
    provider: Handler | None = None, *, workspace: Workspace = WORKSPACE, key: VirtualKey = KEY, **limits: Any
) -> AsyncIterator[Client]:
    async with world(provider, workspace=workspace, limits=Limits(**limits), key=key) as client:
        at(client, NOON)
        yield client


def at(client: Client, now: float) -> None:
    """Set the gateway's clock, and the ledger's."""
    client.recorder.ledger.clock = lambda: now
    client.app.lifespan_state["gateway"] = replace(client.app.lifespan_state["gateway"], clock=lambda: now)


def quotas(document: Any) -> dict[str, tuple[Any, ...]]:
    fields = ("limit", "used", "held", "available", "resets_at")
    return {f"{each['scope']}.{each['name']}": tuple(each[field] for field in fields) for each in document["data"]}


@pytest.mark.parametrize("path", PATHS)
async def test_every_one_needs_a_key_and_answers_get_alone(path: str) -> None:
    async with at_noon() as client:
        assert (await client.get(path)).status == 200
        assert len((await client.get(path)).headers["x-request-id"]) == 26
        unknown = await client.get(path, authorization="Bearer nobody")
        assert (unknown.status, unknown.json["error"]["code"]) == (401, "invalid_api_key")
        foreign = await client.get(path, **{"x-workspace-id": "ws_other"})
        assert (foreign.status, foreign.json["error"]["code"]) == (403, "workspace_forbidden")
        posted = await client.post({}, path)
        assert (posted.status, {*posted.headers["allow"].split(", ")}) == (405, {"GET", "HEAD"})
        browser = await client.get(path, origin="https://app.example")
        assert "access-control-allow-origin" not in browser.headers


async def test_usage_is_that_of_today_the_month_and_each_day() -> None:
    async with at_noon() as client:
        for moment in (NOON - 3 * 86400, NOON - 86400, NOON, NOON + 1):
            at(client, moment)
            await client.post(CALL)
        said = (await client.get("/v1/usage")).json
        assert (said["object"], said["workspace_id"]) == ("usage", "ws_test")
        assert (said["day"]["date"], said["day"]["calls"], said["day"]["tokens"]) == ("2026-11-21", 2, 52)
        assert (said["month"]["from"], said["month"]["to"]) == ("2026-11-01", "2026-11-21")
        assert (said["month"]["calls"], said["month"]["words"]) == (4, 36)
        assert Decimal(said["month"]["cost_usd"]) == 4 * client.recorder.outcomes[0].bill.cost_usd
        assert [(day["date"], day["calls"]) for day in said["days"]] == [
            ("2026-11-18", 1),
            ("2026-11-20", 1),
            ("2026-11-21", 2),
        ]
        asked = (await client.get("/v1/usage?from=2026-11-19&to=2026-11-20")).json
        assert (asked["from"], asked["to"], asked["total"]["calls"], len(asked["days"])) == (
            "2026-11-19",
            "2026-11-20",
            1,
            1,
        )
        assert asked["month"] == said["month"]


async def test_a_month_begins_on_the_workspaces_first_day() -> None:
    async with at_noon(workspace=replace(WORKSPACE, first_day=20)) as client:
        for day in (2, 1):
            at(client, NOON - day * 86400)
            await client.post(CALL)
        at(client, NOON)
        month = (await client.get("/v1/usage")).json["month"]
        assert (month["from"], month["calls"]) == ("2026-11-20", 1)


async def test_usage_of_nothing_is_zero() -> None:
    async with at_noon() as client:
        said = (await client.get("/v1/usage")).json
        assert (said["day"]["calls"], said["month"]["cost_usd"], said["days"]) == (0, "0", [])


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("from=yesterday", "from"),
        ("from=20261101", "from"),
        ("from=2026-02-30", "from"),
        ("from=2026-11-01&to=2026-13-01", "to"),
        ("from=2026-11-20&to=2026-11-19", "from"),
        ("to=2026-11-19", "from"),
        ("from=2026-08-20&to=2026-11-20", "from"),
        ("from=2027-01-01", "from"),
    ],
)
async def test_days_that_make_no_sense_are_named(query: str, param: str) -> None:
    async with at_noon() as client:
        said = await client.get(f"/v1/usage?{query}")
        assert (said.status, said.json["error"]["param"]) == (400, param)


async def test_ninety_two_days_may_be_asked_for() -> None:
    async with at_noon() as client:
        assert (await client.get("/v1/usage?from=2026-08-21&to=2026-11-20")).status == 200


async def test_quotas_tell_every_limit_of_workspace_and_key() -> None:
    async with at_noon(
        key=replace(KEY, limits=Limits(tokens_per_day=300)),
        requests_per_minute=10,
        tokens_per_minute=1000,
        parallel_calls=3,
        words_per_month=500,
        usd_per_day=Decimal("1.5"),
        models=("openai/*",),
    ) as client:
        await client.post(CALL)
        said = (await client.get("/v1/quotas")).json
        midnight, first, minute = "2026-11-22T00:00:00.000Z", "2026-12-01T00:00:00.000Z", "2026-11-21T12:01:00.000Z"
        cost = client.recorder.outcomes[0].bill.cost_usd
        assert quotas(said) == {
            "workspace.requests_per_minute": (10, 1, 0, 9, minute),
            "workspace.tokens_per_minute": (1000, 26, 0, 974, minute),
            "workspace.parallel_calls": (3, 0, 0, 3, None),
            "workspace.words_per_month": (500, 9, 0, 491, first),
            "workspace.usd_per_day": ("1.5", f"{cost:f}".rstrip("0"), "0", str(Decimal("1.5") - cost), midnight),
            "key.tokens_per_day": (300, 26, 0, 274, midnight),
        }
        assert said["models"] == [
            {"scope": "workspace", "models": ["openai/*"], "providers": None},
            {"scope": "key", "models": None, "providers": None},
        ]
        assert (said["workspace_id"], said["key_id"]) == ("ws_test", "key_test")


async def test_what_open_calls_hold_is_told_apart_from_what_is_used() -> None:
    provider = Gated()
    async with at_noon(provider, tokens_per_day=1000, tokens_per_minute=1000, parallel_calls=2) as client:
        calling = asyncio.create_task(Exchange(client.app, CALL, "/v1/chat/completions").run())
        await provider.reached.wait()
        said = quotas((await client.get("/v1/quotas")).json)
        _, used, held, available, _ = said["workspace.tokens_per_day"]
        assert (used, held > 100, available) == (0, True, 1000 - held)
        assert said["workspace.parallel_calls"][1:4] == (0, 1, 1)
        assert said["workspace.tokens_per_minute"][1:3] == (0, held)
        provider.gate.set()
        await calling


async def test_without_limits_there_are_no_quotas_and_nothing_is_read() -> None:
    async with at_noon() as client:
        assert (await client.get("/v1/quotas")).json["data"] == []
        assert (await client.get(USAGE_TYPES)).json["data"] == []
        assert client.recorder.ledger.accounts == {}


@pytest.mark.parametrize("path", ["/v1/balance", "/balance"])
@pytest.mark.parametrize(
    ("limits", "left", "alert", "low"),
    [
        ({"usd_per_month": Decimal(10), "usd_per_day": Decimal(1)}, 10, 2, False),
        ({"usd_per_day": Decimal(1)}, 1, 0.2, False),
        ({"usd_per_day": Decimal(1)}, 0.15, 0.2, True),
    ],
)
async def test_lunos_is_told_what_is_left_of_the_money(
    path: str, limits: Any, left: float, alert: float, low: bool
) -> None:
    async with at_noon(**limits) as client:
        if low:
            booked = {"usd#D#2026-11-21": Decimal("0.85")}
            client.recorder.ledger.accounts["workspace", "ws_test"] = Account(dict(booked))
        said = (await client.get(path)).json
        assert said["data"].pop("balance") == left
        assert said == {
            "success": True,
            "message": said["message"],
            "data": {
                "email": "",
                "alertBalance": alert,
                "enableAlert": 1,
                "updatedAt": "2026-11-21T12:00:00.000Z",
                "isAlertEnabled": True,
                "isBalanceLow": low,
            },
        }
        assert "resets at" in said["message"]


async def test_without_a_budget_of_money_there_is_no_balance_to_tell() -> None:
    async with at_noon(tokens_per_day=1000) as client:
        said = (await client.get("/balance")).json
        assert said["success"] is True
        assert "no budget" in said["message"]
        assert (said["data"]["balance"], said["data"]["alertBalance"], said["data"]["isBalanceLow"]) == (
            None,
            None,
            False,
        )
        assert (said["data"]["enableAlert"], said["data"]["isAlertEnabled"]) == (0, False)


async def test_neuroflash_is_told_quotas_in_its_shape() -> None:
    async with at_noon(words_per_month=500, words_per_day=200, tokens_per_day=1000, usd_per_day=Decimal(1)) as client:
        await client.post(CALL)
        said = (await client.get(USAGE_TYPES)).json
        words = {
            "id": "ws_test:words",
            "workspaceId": "ws_test",
            "usageTypeKey": "words",
            "bonusAmount": 0,
            "spilloverAmount": 0,
            "usedAmount": 9,
            "usedAmountDaily": 9,
            "dailyRefreshed": "2026-11-21",
            "availableAmount": 491,
            "limitAmount": 500,
            "limitAmountDaily": 200,
            "fairUseLimitReached": False,
        }
        tokens = {
            **words,
            "id": "ws_test:tokens",
            "usageTypeKey": "tokens",
            "usedAmount": 26,
            "usedAmountDaily": 26,
            "availableAmount": 974,
            "limitAmount": None,
            "limitAmountDaily": 1000,
        }
        assert said == {
            "data": [tokens, words],
            "page": {"size": 20, "totalElements": 2, "totalPages": 1, "currentPage": 1},
        }
        assert (await client.get(f"{USAGE_TYPES}?usageTypeKey=words")).json["data"] == [words]
        assert (await client.get(f"{USAGE_TYPES}?usageTypeKey=images")).json["data"] == []
        second = (await client.get(f"{USAGE_TYPES}?page=2&size=1")).json
        assert (second["data"], second["page"]["totalPages"], second["page"]["currentPage"]) == ([words], 2, 2)
        assert (await client.get(f"{USAGE_TYPES}?page=3&size=1")).json["data"] == []


@pytest.mark.parametrize("path", [WORKSPACES, USAGE_TYPES])
@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("page=0", "page"),
        ("page=-1", "page"),
        ("page=1.5", "page"),
        ("page=", "page"),
        ("page=10001", "page"),
        ("page=" + "9" * 5000, "page"),
        ("size=0", "size"),
        ("size=201", "size"),
        ("size=many", "size"),
    ],
)
async def test_a_page_that_cannot_be_is_named(path: str, query: str, param: str) -> None:
    async with at_noon() as client:
        said = await client.get(f"{path}?{query}")
        assert (said.status, said.json["error"]["param"]) == (400, param)
        assert len(said.body) < 500
        nobody = await client.get(f"{path}?{query}", authorization="Bearer nobody")
        assert nobody.status == 401


async def test_the_workspaces_of_a_key_are_listed_without_naming_one() -> None:
    several = replace(KEY, workspace_ids=("ws_test", "ws_other", "ws_gone"), default_workspace_id=None)
    async with at_noon(key=several) as client:
        assert (await client.get("/v1/usage")).json["error"]["code"] == "missing_workspace_id"
        said = (await client.get(f"{WORKSPACES}?size=1")).json
        other = {"id": "ws_other", "name": "Other", "createdAt": "1970-01-01T00:00:00.000Z"}
        assert said == {
            "data": [other],
            "page": {"size": 1, "totalElements": 2, "totalPages": 2, "currentPage": 1},
        }
        assert [each["id"] for each in (await client.get(WORKSPACES)).json["data"]] == ["ws_other", "ws_test"]


async def test_a_suspended_workspace_is_not_listed() -> None:
    async with at_noon(workspace=replace(WORKSPACE, status="suspended")) as client:
        assert (await client.get(WORKSPACES)).json["data"] == []
        assert (await client.get(USAGE_TYPES)).status == 403


async def test_a_busy_workspaces_shards_are_added_up() -> None:
    async with at_noon(workspace=replace(WORKSPACE, shards=4), requests_per_minute=8) as client:
        for _ in range(6):
            await client.post(CALL)
        assert quotas((await client.get("/v1/quotas")).json)["workspace.requests_per_minute"][:4] == (8, 6, 0, 2)
        assert (await client.get("/v1/usage")).json["day"]["calls"] == 6
