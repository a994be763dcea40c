import pytest
from msgspec.structs import replace

from tests.control.world import OF_ONE, READER, WHOLE, Managed
from tests.store_worlds import NOON
from tidegate.control import admins, keys, logs, members, workspaces
from tidegate.control.authorization import authenticate_admin
from tidegate.control.views import to_json_for
from tidegate.domain.managed_resources import AdminKey, Member
from tidegate.domain.workspace import VirtualKey, Workspace
from tidegate.errors import AdminForbidden, InvalidKey, InvalidRequest, NotFound, Stale

ASKED = AdminKey("", "", "", ("read", "write"), None, "Ada")


async def test_an_admin_key_opens_until_it_is_revoked(world: Managed) -> None:
    admin, secret = await admins.create_admin_key(world.control, WHOLE, ASKED)
    assert secret.startswith("sk-tidegate-admin-")
    assert admin.prefix == secret[:22]
    assert await authenticate_admin(world.control, f"Bearer {secret}") == admin
    assert (await admins.revoke_admin_key(world.control, admin, admin.id)).status == "revoked"
    with pytest.raises(InvalidKey):
        await authenticate_admin(world.control, f"Bearer {secret}")
    assert [each.status for each in await admins.list_admin_keys(world.control, WHOLE, "", 10)] == ["revoked"]


async def test_an_admin_key_expires(world: Managed) -> None:
    _, secret = await admins.create_admin_key(world.control, WHOLE, replace(ASKED, expires_at=NOON + 60))
    await authenticate_admin(world.control, f"Bearer {secret}")
    world.stores.clock.now += 60
    with pytest.raises(InvalidKey):
        await authenticate_admin(world.control, f"Bearer {secret}")


@pytest.mark.parametrize("authorization", [None, "", "Bearer", "Basic abc", "Bearer sk-tidegate-admin-x", "Bearer a b"])
async def test_a_stranger_is_refused(world: Managed, authorization: str | None) -> None:
    with pytest.raises(InvalidKey):
        await authenticate_admin(world.control, authorization)


async def test_a_key_of_callers_opens_nothing_here(world: Managed) -> None:
    await workspaces.create_workspace(world.control, WHOLE, Workspace("ws_one", "One"))
    made = await keys.create_key(world.control, WHOLE, VirtualKey("", "", "", ("ws_one",), None))
    with pytest.raises(InvalidKey):
        await authenticate_admin(world.control, f"Bearer {made.secret}")


async def test_admin_keys_are_made_by_admins_of_the_whole_gateway(world: Managed) -> None:
    for who in (READER, OF_ONE):
        with pytest.raises(AdminForbidden):
            await admins.create_admin_key(world.control, who, ASKED)
    with pytest.raises(AdminForbidden):
        await admins.list_admin_keys(world.control, OF_ONE, "", 10)


async def test_what_makes_no_sense_is_refused_by_name(world: Managed) -> None:
    for wrong, param in (
        (replace(ASKED, scopes=()), "scopes"),
        (replace(ASKED, workspace_ids=()), "workspace_ids"),
        (replace(ASKED, expires_at=NOON), "expires_at"),
        (replace(ASKED, name="x" * 201), "name"),
    ):
        with pytest.raises(InvalidRequest) as caught:
            await admins.create_admin_key(world.control, WHOLE, wrong)
        assert caught.value.param == param
    with pytest.raises(NotFound):
        await admins.create_admin_key(world.control, WHOLE, replace(ASKED, workspace_ids=("ws_unknown",)))


async def test_members_are_put_and_deleted(world: Managed) -> None:
    await workspaces.create_workspace(world.control, WHOLE, Workspace("ws_one", "One"))
    ada = Member("ws_one", "ada@example.com")
    first, is_new = await members.put_member(world.control, OF_ONE, ada)
    assert is_new
    assert await members.put_member(world.control, OF_ONE, ada) == (first, False)
    second, is_new = await members.put_member(world.control, OF_ONE, replace(ada, role="admin"), 1)
    assert (second.role, second.version, is_new) == ("admin", 2, False)
    with pytest.raises(Stale):
        await members.put_member(world.control, OF_ONE, ada, 1)
    with pytest.raises(Stale):
        await members.put_member(world.control, OF_ONE, Member("ws_one", "new@example.com"), 1)
    assert await members.list_members(world.control, READER, "ws_one", "", 10) == [second]
    await members.delete_member(world.control, OF_ONE, "ws_one", ada.subject, 2)
    with pytest.raises(NotFound):
        await members.find_member(world.control, OF_ONE, "ws_one", ada.subject)
    with pytest.raises(NotFound):
        await members.delete_member(world.control, OF_ONE, "ws_one", ada.subject)


@pytest.mark.parametrize("subject", ["", "a b", "x" * 201, "a\n", "\ud800"])
async def test_a_subject_that_is_none_is_refused(world: Managed, subject: str) -> None:
    await workspaces.create_workspace(world.control, WHOLE, Workspace("ws_one", "One"))
    with pytest.raises(InvalidRequest) as caught:
        await members.put_member(world.control, WHOLE, Member("ws_one", subject))
    assert caught.value.param == "subject"


async def test_the_audit_log_of_one_workspace_tells_nothing_of_others(world: Managed) -> None:
    for workspace_id in ("ws_one", "ws_two"):
        await workspaces.create_workspace(world.control, WHOLE, Workspace(workspace_id, workspace_id))
    asked = VirtualKey("", "", "", ("ws_one", "ws_two"), "ws_two")
    await keys.create_key(world.control, WHOLE, asked)
    entries = await logs.list_audit_entries(world.control, OF_ONE, "ws_one", None, 10)
    assert {entry.action for entry in entries} == {"create"}
    assert len(entries) == 2
    assert "ws_two" not in str([to_json_for(OF_ONE, entry) for entry in entries])
    assert "ws_two" in str([to_json_for(WHOLE, entry) for entry in entries])
    with pytest.raises(NotFound):
        await logs.list_audit_entries(world.control, OF_ONE, "ws_two", None, 10)
    with pytest.raises(AdminForbidden):
        await logs.list_audit_entries(world.control, OF_ONE, None, None, 10)
    assert len(await logs.list_audit_entries(world.control, READER, None, None, 2)) == 2
