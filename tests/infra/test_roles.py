"""What the functions' roles allow: all that the functions do, nothing that they never do, and no way to more rights.

The contract tests of the ports run with these roles as well (`tests.store_worlds`).
"""

import os
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import httpx
import pytest
from msgspec.structs import replace

from tests.batch_values import batch, part, stored_file
from tests.infra.accesses import ATTRIBUTES, KMS_CONTEXT, LEADING_KEYS, SELECT
from tests.infra.batch_flows import batch_function, create_resources, manage_batches, run_everything
from tests.infra.guarded import data_plane_settings, provider, running_as, settings
from tests.infra.roles import (
    ACCOUNT,
    ADMIN_ROLE,
    BATCH_ROLE,
    CHAT_ROLE,
    KEEPER_ROLE,
    Access,
    Role,
    role,
    unused_permissions,
)
from tests.store_worlds import NOON, World, aws_world, hold, key, outcome, workspace
from tests.trace_stores import create_kms_key
from tests.world import KEY, SECRET, USER, WORKSPACE, Exchange
from tidegate.api.admin.app import build_admin
from tidegate.api.app import ENDPOINTS, build_app
from tidegate.api.routes import READS
from tidegate.aws.aggregates import COUNTER_ATTRIBUTES, RECORD_ATTRIBUTES, DynamoAggregates, RollupResult, create_rollup
from tidegate.aws.batch_table import DynamoBatchTable
from tidegate.aws.batches import create_aws_batches
from tidegate.aws.control import create_aws_control
from tidegate.aws.gateway import create_aws_gateway
from tidegate.aws.key_lookup import DynamoKeyLookup
from tidegate.aws.reply_store import configured_reply_stores
from tidegate.aws.response_states import create_response_states
from tidegate.aws.sweeper import create_sweeper
from tidegate.aws.traces import create_traces
from tidegate.aws.world import AwsWorld
from tidegate.compose import Overrides
from tidegate.control import admins
from tidegate.control.authorization import COMMAND_LINE_ACTOR
from tidegate.control.control import Control
from tidegate.domain.account import AccountScope, Reservation
from tidegate.domain.aggregate import Aggregate
from tidegate.domain.call import IdempotencyClaim
from tidegate.domain.identity import Identity, hash_subject
from tidegate.domain.limits import Amounts, Limits
from tidegate.domain.managed_resources import AdminKey
from tidegate.domain.server_options import ServerOptions
from tidegate.domain.workspace import WorkspaceCredential
from tidegate.gateway import Gateway
from tidegate.policy.auth.authenticator import Authenticator
from tidegate.settings import Settings
from tidegate.transport.httpx import HttpxTransport
from tidegate.transport.reqwest import ReqwestTransport

ROLES = (CHAT_ROLE, ADMIN_ROLE, KEEPER_ROLE, BATCH_ROLE)
TABLE = f"arn:aws:dynamodb:{ACCOUNT}:table/tidegate-one"
WRITES = ("PutItem", "UpdateItem", "DeleteItem", "ConditionCheckItem")
KEY_OF_ONE, SUBJECT, WORKSPACE_ITEMS = "KEY#0a1b", "OIDC#0a1b", "WORKSPACE#ws_one"
OPERATORS = (KEY_OF_ONE, SUBJECT, WORKSPACE_ITEMS, "WORKSPACES", "PLANS", "ADMINS", "AUDIT")
"""Partitions that decide about rights and limits, or say who changed them."""

CALLS = ("WS#ws_one", "WS#ws_one#3", "ACCOUNT#key_one", "HEALTH", "SWEEPER")
REPLY_QUEUES = f"arn:aws:sqs:{ACCOUNT}:answers-*"
LIMITED = "sk-tidegate-limited"


def item_access(action: str, *partitions: str, table: str = TABLE) -> Access:
    return Access(f"dynamodb:{action}", table, {LEADING_KEYS: partitions})


def writable(name: str) -> dict[str, set[str]]:
    """The writing actions that a role allows, and in which partitions."""
    allowed = {
        action: {each for each in (*OPERATORS, *CALLS) if role(name).allows(item_access(action, each))}
        for action in WRITES
    }
    return {action: partitions for action, partitions in allowed.items() if partitions}


def test_the_data_plane_writes_no_key_admin_plan_subject_or_workspace() -> None:
    calls = {"WS#ws_one", "WS#ws_one#3", "ACCOUNT#key_one", "HEALTH"}
    assert writable(CHAT_ROLE) == {"PutItem": calls, "UpdateItem": calls}


def test_the_batch_function_writes_no_key_admin_plan_subject_or_workspace() -> None:
    assert writable(BATCH_ROLE) == writable(CHAT_ROLE)


def test_the_keeper_writes_no_key_admin_plan_subject_or_workspace() -> None:
    calls = {"WS#ws_one", "WS#ws_one#3", "ACCOUNT#key_one", "SWEEPER"}
    assert writable(KEEPER_ROLE) == {"PutItem": calls, "UpdateItem": calls}


def test_the_control_plane_writes_no_call_and_deletes_no_entry_of_the_audit_log() -> None:
    resources = {*OPERATORS} - {"AUDIT"}
    assert writable(ADMIN_ROLE) == {
        "PutItem": {*OPERATORS},
        "DeleteItem": {*resources, "WS#ws_one", "WS#ws_one#3"},
        "ConditionCheckItem": resources,
    }


@pytest.mark.parametrize(
    ("name", "action", "partitions"),
    [
        *((CHAT_ROLE, "BatchGetItem", (each,)) for each in ("ADMINS", "PLANS", "AUDIT", "WORKSPACES", "SWEEPER")),
        *((CHAT_ROLE, "Query", (each,)) for each in (KEY_OF_ONE, WORKSPACE_ITEMS, "WORKSPACES", "ADMINS", "AUDIT")),
        (CHAT_ROLE, "BatchGetItem", (KEY_OF_ONE, "ADMINS")),
        *(
            (BATCH_ROLE, "BatchGetItem", (each,))
            for each in (KEY_OF_ONE, SUBJECT, "ADMINS", "PLANS", "AUDIT", "SWEEPER")
        ),
        *((BATCH_ROLE, "Query", (each,)) for each in (KEY_OF_ONE, SUBJECT, WORKSPACE_ITEMS, "ADMINS", "AUDIT")),
        *((KEEPER_ROLE, "BatchGetItem", (each,)) for each in (KEY_OF_ONE, SUBJECT, "ADMINS", "AUDIT", "PLANS")),
        *((KEEPER_ROLE, "Query", (each,)) for each in (KEY_OF_ONE, SUBJECT, "ADMINS", "AUDIT", "PLANS", "WS#ws_one")),
    ],
)
def test_what_a_function_never_reads_it_cannot_read(name: str, action: str, partitions: tuple[str, ...]) -> None:
    assert not role(name).allows(item_access(action, *partitions))


@pytest.mark.parametrize("name", ROLES)
def test_no_role_reaches_past_the_partitions_it_names(name: str) -> None:
    refused = [
        *(item_access(action, "WS#ws_one", table=f"arn:aws:dynamodb:{ACCOUNT}:table/other") for action in WRITES),
        *(item_access(action) for action in (*WRITES, "BatchGetItem", "Query")),  # no partition at all
        *(Access(f"dynamodb:{action}", TABLE) for action in (*WRITES, "BatchGetItem", "Query")),
        *(item_access(action, "") for action in (*WRITES, "BatchGetItem", "Query")),
        *(item_access(action, each) for action in ("PutItem", "UpdateItem") for each in ("WS", "XWS#ws_one", "KEY")),
        *(
            item_access(action, "WS#ws_one")
            for action in ("Scan", "GetItem", "BatchWriteItem", "PartiQLSelect", "PartiQLUpdate", "DeleteTable")
        ),
        Access("dynamodb:DeleteTable", TABLE),
        Access("dynamodb:UpdateTable", TABLE),
        Access("iam:PassRole", f"arn:aws:iam::{ACCOUNT}:role/other"),
        Access("events:PutEvents", f"arn:aws:events:{ACCOUNT}:event-bus/other"),
        Access("s3:GetObject", "arn:aws:s3:::replies-one/other/key"),
        Access("s3:ListBucket", "arn:aws:s3:::replies-one"),
        Access("s3:DeleteObject", "arn:aws:s3:::replies-one/cache/key"),
        *(
            Access(
                f"secretsmanager:{action}", f"arn:aws:secretsmanager:{ACCOUNT}:secret:other/workspaces/ws_one-AbCdEf"
            )
            for action in ("GetSecretValue", "PutSecretValue", "CreateSecret")
        ),
        Access("secretsmanager:PutSecretValue", f"arn:aws:secretsmanager:{ACCOUNT}:secret:providers-one-AbCdEf"),
    ]
    assert [access for access in refused if role(name).allows(access)] == []


def test_only_the_control_plane_writes_secrets_and_only_functions_that_make_calls_read_the_gateways() -> None:
    brought = f"arn:aws:secretsmanager:{ACCOUNT}:secret:tidegate/workspaces/ws_one-AbCdEf"
    gateways = f"arn:aws:secretsmanager:{ACCOUNT}:secret:providers-one-AbCdEf"
    actions = ("CreateSecret", "PutSecretValue", "GetSecretValue")
    seen = {
        name: (
            [action for action in actions if role(name).allows(Access(f"secretsmanager:{action}", brought))],
            [action for action in actions if role(name).allows(Access(f"secretsmanager:{action}", gateways))],
        )
        for name in ROLES
    }
    assert seen == {
        CHAT_ROLE: (["GetSecretValue"], ["GetSecretValue"]),
        BATCH_ROLE: (["GetSecretValue"], ["GetSecretValue"]),
        ADMIN_ROLE: ([*actions], []),
        KEEPER_ROLE: ([], []),
    }


def test_the_keeper_reads_records_and_no_stored_reply() -> None:
    def query(*attributes: str, select: str = "SPECIFIC_ATTRIBUTES") -> Access:
        context = {LEADING_KEYS: ("WS#ws_one",), ATTRIBUTES: attributes, SELECT: (select,)}
        return Access("dynamodb:Query", TABLE, context)

    keeper = role(KEEPER_ROLE)
    assert keeper.allows(query(*RECORD_ATTRIBUTES)) and keeper.allows(query(*COUNTER_ATTRIBUTES))
    assert not keeper.allows(query("pk", "reply"))
    assert not keeper.allows(query(*RECORD_ATTRIBUTES, select="ALL_ATTRIBUTES"))
    assert not keeper.allows(item_access("Query", "WS#ws_one"))


def test_the_simulator_fails_where_it_is_given_what_it_does_not_know() -> None:
    statement = {"Effect": "Allow", "Action": "a:B", "Resource": "*", "Condition": {"IpAddress": {"aws:SourceIp": "x"}}}
    with pytest.raises(NotImplementedError):
        Role("r", (statement,)).allows(Access("a:B", "any"))
    allow, deny = (
        {"Effect": "Allow", "Action": "a:*", "Resource": "*"},
        {"Effect": "Deny", "Action": "a:B", "Resource": "*"},
    )
    assert not Role("r", (allow, deny)).allows(Access("a:B", "any"))
    assert Role("r", (allow, deny)).allows(Access("a:C", "any"))


async def test_the_data_plane_may_do_all_that_it_does_and_no_more(aws_endpoint: str) -> None:
    async with aws_world(aws_endpoint) as stores:
        limits = Limits(requests_per_minute=100, tokens_per_day=3_000)
        own = (WorkspaceCredential("MISTRAL_API_KEY", NOON),)
        await stores.tenants.put_workspace(replace(WORKSPACE, limits=limits, credentials=own))
        await stores.keys.put_key(KEY)
        await stores.keys.put_key(replace(key(LIMITED, (WORKSPACE.id,)), limits=Limits(tokens_per_day=5_000)))
        stack = create_resources(aws_endpoint)
        configured = await data_plane_settings(stores, aws_endpoint, **stack.env)
        async with running_as(CHAT_ROLE, configured) as (world, guarded):
            overrides = Overrides(wrap=lambda _: HttpxTransport(httpx.MockTransport(provider)))

            @asynccontextmanager
            async def composed() -> AsyncIterator[Any]:
                yield await create_aws_gateway(world, overrides)

            @asynccontextmanager
            async def batches(gateway: Gateway) -> AsyncIterator[Any]:
                yield create_aws_batches(world, gateway, ENDPOINTS)

            app = build_app(composed, ServerOptions(), open_batches=batches)
            async with app.lifespan() as state:
                app.lifespan_state = state
                await manage_batches(app, state["batches"], stack)
                await call(app)
                await read_everything(app)
                await state["gateway"].cooldowns.tell(WORKSPACE.id, "here", NOON)
            await DynamoKeyLookup(world.store).find_subject("0a1b", None)
            await DynamoKeyLookup(world.store).find_subject("0a1b", WORKSPACE.id)
            await store_replies(configured, world)
            await keep_traces(world)
            await read_traces(world)
            await keep_responses(world)
            await delete_responses(world)
        assert unused_permissions(guarded.role, guarded.seen) == []


async def test_the_batch_function_may_do_all_that_it_does_and_no_more(aws_endpoint: str) -> None:
    async with aws_world(aws_endpoint) as stores:
        own = (WorkspaceCredential("MISTRAL_API_KEY", NOON),)
        limits, url = Limits(tokens_per_day=90_000), "https://hook.invalid/"
        limited = replace(key(LIMITED, (WORKSPACE.id,)), limits=Limits(tokens_per_day=50_000))
        await stores.tenants.put_workspace(replace(WORKSPACE, limits=limits, credentials=own, batch_webhook=url))
        await stores.keys.put_key(limited)
        stack = create_resources(aws_endpoint)
        configured = await data_plane_settings(stores, aws_endpoint, **stack.env)
        async with running_as(BATCH_ROLE, configured, ReplyQueueArns=REPLY_QUEUES) as (world, guarded):
            overrides = Overrides(wrap=lambda _: HttpxTransport(httpx.MockTransport(provider)))
            async with batch_function(world, overrides) as function:
                await run_everything(function, stack, limited.id)
                await function.components.gateway.cooldowns.tell(WORKSPACE.id, "here", NOON)
            await store_replies(configured, world)
            await keep_traces(world)
        assert unused_permissions(guarded.role, guarded.seen) == []


async def call(app: Any) -> None:
    """Make two calls that use more than half of the workspace's budget, and one of a key that has limits as well."""
    for secret, stream in ((SECRET, False), (SECRET, False), (LIMITED, True)):
        sent = {"model": "fast", "messages": USER, "max_tokens": 1_000 - 500 * stream, "stream": stream}
        headers = {"authorization": f"Bearer {secret}", "idempotency-key": str(uuid.uuid4())}
        exchange = Exchange(app, sent, "/v1/chat/completions", headers)
        await exchange.run()
        assert exchange.reply().status == 200, exchange.body


UNKNOWN_CALL = "01KCZZZZZZZZZZZZZZZZZZZZZZ"


async def read_everything(app: Any) -> None:
    for path in READS:
        path = path.replace("{model_id:path}", "openai/gpt-4.1-mini").replace("{workspace_id}", WORKSPACE.id)
        path = path.replace("{generation_id}", UNKNOWN_CALL)
        exchange = Exchange(app, b"", f"{path}?id={UNKNOWN_CALL}", {"x-workspace-id": WORKSPACE.id}, method="GET")
        await exchange.run()
        assert exchange.reply().status == (404 if "/generation" in path else 200), (path, exchange.body)


async def store_replies(configured: Settings, world: AwsWorld) -> None:
    replies, claims = configured_reply_stores(configured, world.store)
    large = os.urandom(400_000)
    assert await replies.keep(WORKSPACE.id, "a", large, 60)
    assert await replies.find(WORKSPACE.id, "a") == large
    claim = IdempotencyClaim(WORKSPACE.id, "key", "asked", "call_1", world.store.clock() + 60)
    assert await claims.claim(claim) is None
    assert await claims.fulfil(claim, large, 60)
    assert await claims.claim(claim) == large
    await claims.release(claim)


LARGE = os.urandom(400_000)


async def keep_traces(world: AwsWorld, workspace_id: str = "ws_one") -> None:
    traces = create_traces(world)
    for call_id, content in {"C1": b"content", "C2": LARGE}.items():
        await traces.keep(workspace_id, call_id, content, world.store.clock() + 60)


async def keep_responses(world: AwsWorld, workspace_id: str = "ws_one") -> None:
    states = create_response_states(world)
    for response_id, content in {"resp_1": b"content", "resp_2": LARGE}.items():
        await states.keep(workspace_id, response_id, content, world.store.clock() + 60)


async def delete_responses(world: AwsWorld) -> None:
    states = create_response_states(world)
    for response_id, content in {"resp_1": b"content", "resp_2": LARGE}.items():
        assert await states.find("ws_one", response_id) == content
        await states.delete("ws_one", response_id)


async def read_traces(world: AwsWorld) -> None:
    traces = create_traces(world)
    assert [await traces.find("ws_one", call_id) for call_id in ("C1", "C2")] == [b"content", LARGE]


@pytest.mark.parametrize("has_kms", [False, True])
async def test_functions_keep_and_read_traces_with_a_kms_key_and_without(aws_endpoint: str, has_kms: bool) -> None:
    async with aws_world(aws_endpoint) as stores, AsyncExitStack() as stack:
        configured = await data_plane_settings(stores, aws_endpoint)
        key = (await create_kms_key(ReqwestTransport(), aws_endpoint)).id if has_kms else ""
        configured = replace(configured, trace_key=key or None)
        parameters = {"KmsKeyArn": key} if has_kms else {}
        for writer in (CHAT_ROLE, BATCH_ROLE):
            chat, batch, admin = [
                (await stack.enter_async_context(running_as(name, configured, **parameters)))[0]
                for name in (CHAT_ROLE, BATCH_ROLE, ADMIN_ROLE)
            ]
            await keep_traces(chat if writer == CHAT_ROLE else batch)
            for reader in (chat, admin):
                await read_traces(reader)
            with pytest.raises(AssertionError, match="does not allow"):
                await create_traces(batch).find("ws_one", "C2")
            await create_traces(admin).delete_all("ws_one")
            for name in ("destroy_key", "delete_all"):
                for world in (chat, batch):
                    with pytest.raises(AssertionError, match="does not allow"):
                        await getattr(create_traces(world), name)("ws_one")
            assert (await stores.store.query("TRACES#ws_one", "TRACE#") if stores.store else None) == []


@pytest.mark.parametrize("name", ROLES)
def test_a_kms_key_opens_keys_of_traces_for_one_workspace_at_a_time(name: str) -> None:
    key = f"arn:aws:kms:{ACCOUNT}:key/1"
    of_workspace = {f"{KMS_CONTEXT}:workspace": ("ws_one",)}
    allowed = role(name, KmsKeyArn=key)
    actions = [
        each for each in ("Decrypt", "GenerateDataKey") if allowed.allows(Access(f"kms:{each}", key, of_workspace))
    ]
    expected = {ADMIN_ROLE: ["Decrypt"], KEEPER_ROLE: list[str]()}
    assert actions == expected.get(name, ["Decrypt", "GenerateDataKey"])
    for context in ({}, {f"{KMS_CONTEXT}:workspace": ("other",)}, {f"{KMS_CONTEXT}:table": ("ws_one",)}):
        assert not allowed.allows(Access("kms:Decrypt", key, context))
    assert not allowed.allows(Access("kms:Encrypt", key, of_workspace))


async def test_the_keeper_may_do_all_that_it_does_and_no_more(aws_endpoint: str) -> None:
    async with aws_world(aws_endpoint) as stores:
        limits = Limits(tokens_per_day=100)
        await stores.tenants.put_workspace(replace(workspace(), limits=limits))
        await stores.keys.put_key(replace(KEY, id="key_one", workspace_ids=("ws_one",), limits=limits))
        scopes = (AccountScope("workspace", "ws_one", limits), AccountScope("key", "key_one", limits))
        await stores.ledger.reserve(
            Reservation(hold(amounts=Amounts(tokens=60), account_kinds=("workspace", "key")), scopes)
        )
        async with running_as(KEEPER_ROLE, settings(stores, aws_endpoint, TIDEGATE_EVENT_BUS="default")) as (
            world,
            guarded,
        ):
            later = replace(world.store, clock=lambda: NOON + 3600)
            sweeper = replace(create_sweeper(world), store=later)
            assert (await sweeper.run()).lost == 1
            assert (await replace(sweeper, run_seconds=0.0).run()).is_done is False
            seconds = iter([0.0, 0.0, 9e9])
            await stores.tenants.put_workspace(workspace("ws_two"))
            assert (await replace(sweeper, monotonic=lambda: next(seconds)).run()).is_done is False
            await stores.meter.record(outcome())
            assert await create_rollup(later).run() == RollupResult(workspaces=2, hours=1)
            seconds = iter([0.0, 0.0, 9e9])
            assert (await replace(create_rollup(later), monotonic=lambda: next(seconds)).run()).is_done is False
            tomorrow = replace(later, clock=lambda: NOON + 86_400)
            assert await create_rollup(tomorrow).run() == RollupResult(workspaces=1)
            assert await create_rollup(tomorrow).run() == RollupResult(workspaces=2)
            assert len(await DynamoAggregates(world.store).find("ws_one", "2026-11-21", "2026-11-21")) == 1
        assert unused_permissions(guarded.role, guarded.seen) == []


async def test_the_control_plane_may_do_all_that_it_does_and_no_more(aws_endpoint: str) -> None:
    async with aws_world(aws_endpoint) as stores, AsyncExitStack() as stack:
        configured = await data_plane_settings(stores, aws_endpoint)
        world, guarded = await stack.enter_async_context(running_as(ADMIN_ROLE, configured))
        writer, _ = await stack.enter_async_context(running_as(CHAT_ROLE, configured))
        await keep_traces(writer)
        await keep_responses(writer)
        await read_traces(world)
        control = create_aws_control(world)
        app = build_admin(control, Authenticator(DynamoKeyLookup(world.store), access_tokens=TokensOfSubject()))
        await administer(app, control, stores)
        assert unused_permissions(guarded.role, guarded.seen) == []


class TokensOfSubject:
    """Every access token is of the subject that `administer_keys` grants a workspace."""

    async def verify(self, token: str) -> Identity:
        return Identity(hash_subject("https://issuer.example", "s"), NOON + 600)


class AdminApi:
    """A client of the admin API that fails with any refusal, and remembers the routes that it has called."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http
        self.called: set[tuple[str, str]] = set()

    async def send(self, method: str, route: str, body: Any = None, query: str = "", **ids: str) -> Any:
        self.called.add((method, route))
        headers = {"idempotency-key": "one"} if method == "POST" else {}
        path = f"/admin/v1{route.format(**ids)}{query}"
        answer = await self._http.request(method, path, json=body, headers=headers)
        assert answer.status_code in (200, 201, 204), (method, route, answer.text)
        return answer.json() if answer.content else None


ONE = {"workspace_id": "ws_one", "plan_id": "plan_a"}


async def administer(app: Any, control: Control, stores: World) -> None:
    """Send at least one successful request to each route of the admin API."""
    new_admin = AdminKey("", "", "", ("read", "write"), None, "whole")
    _, secret = await admins.create_admin_key(control, COMMAND_LINE_ACTOR, new_admin)
    headers = {"authorization": f"Bearer {secret}", "if-match": "*"}
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://admin.test", headers=headers) as http:
        api = AdminApi(http)
        await administer_workspace(api, stores)
        await administer_keys(api)
        await administer_members(api)
        me = await http.get("/console/v1/me", headers={"authorization": "Bearer a.b.c"})
        assert [each["id"] for each in me.json()["workspaces"]] == ["ws_one"]
        assert (await http.get("/console/v1/providers")).status_code == 200
        await delete_workspaces(api, stores)
        admin = await api.send("POST", "/admins", {"name": "Ada", "scopes": ["read"]})
        for method, route in (("GET", "/admins"), ("GET", "/admins/{admin_id}"), ("DELETE", "/admins/{admin_id}")):
            await api.send(method, route, admin_id=admin["id"])
    offered = {
        (method.upper(), path.removeprefix("/admin/v1"))
        for path, methods in app.openapi()["paths"].items()
        for method in methods
    }
    assert offered == api.called


async def administer_workspace(api: AdminApi, stores: World) -> None:
    await api.send("POST", "/plans", {"id": "plan_a", "name": "A", "limits": {"words_per_day": 5}})
    await api.send("POST", "/workspaces", {"id": "ws_one", "name": "One", "plan_id": "plan_a"})
    made = outcome()
    await stores.meter.record(replace(made, call=replace(made.call, session_id="s1")))
    assert stores.store is not None
    await create_rollup(replace(stores.store, clock=lambda: NOON + 86_400)).run()
    await stores.ledger.account(AccountScope("workspace", "ws_one", Limits(tokens_per_day=5)))
    for route in ("/plans", "/plans/{plan_id}", "/workspaces", "/workspaces/{workspace_id}"):
        await api.send("GET", route, **ONE)
    await api.send("PATCH", "/plans/{plan_id}", {"limits": {"words_per_day": 7}}, **ONE)
    await api.send("PATCH", "/workspaces/{workspace_id}", {"limits": {"tokens_per_day": 7}, "shards": 2}, **ONE)
    await api.send("POST", "/workspaces/{workspace_id}/suspend", **ONE)
    await api.send("POST", "/workspaces/{workspace_id}/resume", **ONE)
    await api.send("DELETE", "/workspaces/{workspace_id}/traces", **ONE)
    for credential in ("OPENAI_API_KEY", "GROQ_API_KEY"):
        await api.send("PUT", "/workspaces/{workspace_id}/credentials/{name}", {"value": "x"}, **ONE, name=credential)
    for credential in ("OPENAI_API_KEY", "GROQ_API_KEY"):
        await api.send("DELETE", "/workspaces/{workspace_id}/credentials/{name}", **ONE, name=credential)


async def administer_keys(api: AdminApi) -> None:
    subject = {"issuer": "https://issuer.example", "subject": "s", "key": {"workspace_ids": ["ws_one"]}}
    for _ in range(2):  # the second request finds what the first one has made
        key = await api.send("POST", "/keys", {"workspace_ids": ["ws_one"], "name": "app"})
        await api.send("POST", "/subjects", subject)
    await api.send("GET", "/workspaces/{workspace_id}/keys", **ONE)
    key_route = "/workspaces/{workspace_id}/keys/{key_id}"
    for method, route, body in (
        ("GET", key_route, None),
        ("PATCH", key_route, {"limits": {"tokens_per_day": 7}}),
        ("POST", f"{key_route}/rotate", {"overlap_seconds": 60}),
        ("DELETE", key_route, None),
    ):
        await api.send(method, route, body, **ONE, key_id=key["id"])


async def administer_members(api: AdminApi) -> None:
    member = "/workspaces/{workspace_id}/members/{subject}"
    for method, body in (("PUT", {"role": "reader"}), ("GET", None), ("DELETE", None)):
        await api.send(method, member, body, **ONE, subject="ada")
    for route in ("/members", "/usage", "/calls", "/audit", "/sessions"):
        await api.send("GET", f"/workspaces/{{workspace_id}}{route}", **ONE)
    await api.send("GET", "/workspaces/{workspace_id}/reprice", query="?model=openai/gpt-4.1-mini", **ONE)
    session = "/workspaces/{workspace_id}/sessions/{session_id}"
    await api.send("GET", session, query="?from=2026-11-21T00:00:00Z&to=2026-11-22T00:00:00Z", **ONE, session_id="s1")


async def delete_workspaces(api: AdminApi, stores: World) -> None:
    assert stores.store is not None
    await DynamoBatchTable(stores.store).save(stored_file(), batch(), part())
    await DynamoAggregates(stores.store).replace("ws_one", "2026-11-21", Aggregate(), NOON)
    await api.send("DELETE", "/workspaces/{workspace_id}", query="?force=true", **ONE)
    await api.send("POST", "/workspaces", {"id": "ws_two", "name": "Two"})
    await api.send("DELETE", "/workspaces/{workspace_id}", workspace_id="ws_two")
    await api.send("DELETE", "/plans/{plan_id}", **ONE)
    await api.send("GET", "/audit")
