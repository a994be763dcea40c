"""An admin key of one workspace can do nothing to another one, at every endpoint that the application has."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import pytest
from msgspec.structs import replace

from tests.api.admin.world import Api, Reply, open_api
from tests.store_worlds import outcome
from tidegate.api.admin.app import PREFIX, build_admin
from tidegate.control import admins, credentials, keys, members, plans, workspaces
from tidegate.control.authorization import COMMAND_LINE_ACTOR as OPERATOR
from tidegate.domain.managed_resources import AdminKey, Member, Plan
from tidegate.domain.workspace import VirtualKey, Workspace

MARK = "two-secret"
"""A text in the name of each thing of the workspace ws_two, and of each that it shares."""

DOCUMENT = build_admin().openapi()


class Endpoint(NamedTuple):
    method: str
    path: str
    body: Any

    @property
    def parameters(self) -> list[str]:
        return [part[1:-1] for part in self.path.split("/") if part.startswith("{")]

    @property
    def is_change(self) -> bool:
        return self.method != "GET"

    async def __call__(self, client: Any, values: Mapping[str, str]) -> Reply:
        path = self.path.removeprefix(PREFIX).format_map(values)
        return await client(self.method, path, self.body, if_match="*", idempotency_key="once")


def endpoints() -> Iterator[Endpoint]:
    """All endpoints of the application; a body has the required fields and a name, with ws_two as each workspace."""
    for path, operations in DOCUMENT["paths"].items():
        for method, operation in operations.items():
            content = operation.get("requestBody", {}).get("content", {})
            schema = content.get("application/json", {}).get("schema")
            yield Endpoint(method.upper(), path, None if schema is None else example("", schema))


def example(name: str, schema: Mapping[str, Any]) -> Any:
    """A value that the schema allows, with a name, its required properties, and the workspaces it may name."""
    if "$ref" in schema:
        schema = DOCUMENT["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    if "anyOf" in schema:
        return example(name, schema["anyOf"][0])
    match schema:
        case {"enum": [first, *_]}:
            return first
        case {"type": "object"}:
            wanted = {*schema.get("required", ()), "workspace_ids", "name"}
            properties = schema.get("properties", {})
            return {each: example(each, properties[each]) for each in properties if each in wanted}
        case {"type": "array"}:
            return [example(name, schema["items"])]
        case {"type": "integer" | "number"}:
            return schema.get("minimum", 1)
        case _:
            return "ws_two" if name == "workspace_ids" else "anything"


ENDPOINTS = list(endpoints())
BY_NAME = {f"{endpoint.method} {endpoint.path.removeprefix(PREFIX)}": endpoint for endpoint in ENDPOINTS}
every_endpoint = pytest.mark.parametrize("endpoint", list(BY_NAME.values()), ids=list(BY_NAME))


async def furnish(api: Api) -> dict[str, str]:
    """Give ws_two one of everything. Returns its ids by the names of the paths' parameters."""
    control = api.world.control
    plan, _ = await plans.create_plan(control, OPERATOR, Plan("plan_a", "A"))
    two = await workspaces.find_workspace(control, OPERATOR, "ws_two")
    changed = Workspace("ws_two", MARK, created_at=two.created_at, plan_id=plan.id)
    await workspaces.update_workspace(control, OPERATOR, two, changed, None)
    key = VirtualKey("", "", "", ("ws_two",), None, name=MARK)
    created = await keys.create_key(control, OPERATOR, key)
    await keys.create_key_for_subject(control, OPERATOR, key, "https://issuer.example", "ada")
    await members.put_member(control, OPERATOR, Member("ws_two", MARK))
    await credentials.put_credential(control, OPERATOR, "ws_two", "OPENAI_API_KEY", MARK)
    admin_key = AdminKey("", "", "", ("read",), ("ws_two",), MARK)
    admin, _ = await admins.create_admin_key(control, OPERATOR, admin_key)
    ended = outcome(workspace_id="ws_two")
    await api.world.stores.meter.record(replace(ended, call=replace(ended.call, session_id=MARK)))
    return {
        "workspace_id": "ws_two",
        "key_id": created.key.id,
        "subject": MARK,
        "name": "OPENAI_API_KEY",
        "plan_id": plan.id,
        "admin_id": admin.id,
        "session_id": MARK,
    }


async def state_of_two(api: Api) -> list[Any]:
    """All that is stored of ws_two, and of the gateway as a whole."""
    control = api.world.control
    owned = [list(await control.resources.page(kind, workspace_id="ws_two")) for kind in (VirtualKey, Member)]
    common = [list(await control.resources.page(kind)) for kind in (Plan, AdminKey)]
    assert control.vault is not None
    stored = [await control.resources.find(Workspace, "ws_two"), dict(await control.vault.read("ws_two"))]
    usage = [await control.usages.calls("ws_two", 10), await control.resources.entries("ws_two", None, 100)]
    return [*owned, *common, *stored, *usage]


WITHOUT_EFFECT = {
    f"{method} {PREFIX}{path}"
    for method, path in (
        ("POST", "/workspaces/{workspace_id}/resume"),
        ("PUT", "/workspaces/{workspace_id}/members/{subject}"),
        ("POST", "/workspaces"),
    )
}


REFUSED_WHILE_IN_USE = {f"DELETE {PREFIX}/workspaces/{{workspace_id}}", f"DELETE {PREFIX}/plans/{{plan_id}}"}
"""Both are in use here: an operator learns that by a 409, which is another answer than the refusals below."""


@every_endpoint
async def test_the_request_does_something_for_an_operator(endpoint: Endpoint) -> None:
    """Otherwise the refusals below would prove nothing."""
    async with open_api() as api:
        values = await furnish(api)
        before = await state_of_two(api)
        reply = await endpoint(api.whole, values)
        if f"{endpoint.method} {endpoint.path}" in REFUSED_WHILE_IN_USE:
            assert reply.status == 409
            return
        assert reply.status < 300
        has_effect = endpoint.is_change and f"{endpoint.method} {endpoint.path}" not in WITHOUT_EFFECT
        assert (await state_of_two(api) != before) == has_effect


@every_endpoint
async def test_an_admin_of_another_workspace_reads_and_changes_nothing(endpoint: Endpoint) -> None:
    async with open_api() as api:
        values = await furnish(api)
        before = await state_of_two(api)
        reply = await endpoint(api.one, values)
        if endpoint.is_change or "workspace_id" in endpoint.parameters:
            assert reply.status in (403, 404)
            assert await state_of_two(api) == before
        if not endpoint.parameters and "ws_two" not in str(endpoint.body):  # a refusal may quote what was sent
            assert not any(each in str(reply.json) for each in (MARK, "ws_two"))


OF_OWN_WORKSPACE = [each for each in ENDPOINTS if {"workspace_id"} < {*each.parameters}]


@pytest.mark.parametrize("endpoint", OF_OWN_WORKSPACE, ids=[f"{each.method} {each.path}" for each in OF_OWN_WORKSPACE])
async def test_a_foreign_id_below_the_own_workspace_leads_to_nothing_foreign(endpoint: Endpoint) -> None:
    async with open_api() as api:
        values = await furnish(api)
        before = await state_of_two(api)
        reply = await endpoint(api.one, {**values, "workspace_id": "ws_one"})
        assert await state_of_two(api) == before
        assert "ws_two" not in str(reply.json)
        if "key_id" in endpoint.parameters:
            assert reply.status == 404


OF_KEY = [each for each in ENDPOINTS if "key_id" in each.parameters]


@pytest.mark.parametrize("endpoint", OF_KEY, ids=[f"{each.method} {each.path}" for each in OF_KEY])
async def test_a_shared_key_is_shown_without_the_others_and_cannot_be_changed(endpoint: Endpoint) -> None:
    async with open_api() as api:
        values = await furnish(api)
        shared = VirtualKey("", "", "", ("ws_one", "ws_two"), "ws_two", name="shared")
        key = (await keys.create_key(api.world.control, OPERATOR, shared)).key
        before = await state_of_two(api)
        reply = await endpoint(api.one, {**values, "workspace_id": "ws_one", "key_id": key.id})
        assert reply.status == (403 if endpoint.is_change else 200)
        assert "ws_two" not in str(reply.json)
        assert await state_of_two(api) == before


async def test_logs_of_the_own_workspace_name_no_other() -> None:
    async with open_api() as api:
        await furnish(api)
        shared = VirtualKey("", "", "", ("ws_one", "ws_two"), "ws_two", name="shared")
        key = (await keys.create_key(api.world.control, OPERATOR, shared)).key
        await keys.revoke_key(api.world.control, OPERATOR, key)
        for endpoint in ENDPOINTS:
            if endpoint.parameters == ["workspace_id"] and not endpoint.is_change:
                reply = await endpoint(api.one, {"workspace_id": "ws_one"})
                assert reply.status == 200
                assert not any(each in str(reply.json) for each in ("ws_two", MARK))
