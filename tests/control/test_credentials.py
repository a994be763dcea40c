"""Provider keys that workspaces bring, changed by several admins at once."""

import asyncio
from typing import Any

from msgspec.structs import replace

from tests.control.world import WHOLE, Managed
from tidegate.control import credentials, workspaces
from tidegate.domain.workspace import Workspace
from tidegate.errors import Stale


async def put(world: Managed, name: str, value: str) -> None:
    await credentials.put_credential(world.control, WHOLE, "ws_one", name, value)


async def stored(world: Managed) -> tuple[list[str], dict[str, str]]:
    """The names that the workspace lists, and what the vault has."""
    assert world.control.vault is not None
    workspace = await workspaces.find_workspace(world.control, WHOLE, "ws_one")
    return [each.name for each in workspace.credentials], dict(await world.control.vault.read("ws_one"))


async def test_a_refused_change_loses_no_key_of_another_one(world: Managed) -> None:
    await workspaces.create_workspace(world.control, WHOLE, Workspace("ws_one", "One"))
    results = await asyncio.gather(
        put(world, "GROQ_API_KEY", "a"), put(world, "OPENAI_API_KEY", "b"), return_exceptions=True
    )
    assert [type(each) for each in results if each is not None] in ([], [Stale])
    names, values = await stored(world)
    assert {*names} <= {*values}


async def test_a_key_that_is_put_while_it_is_deleted_stays(world: Managed) -> None:
    await workspaces.create_workspace(world.control, WHOLE, Workspace("ws_one", "One"))
    await put(world, "GROQ_API_KEY", "old")
    vault, resources = world.control.vault, world.control.resources
    assert vault is not None

    class Interrupted:
        """The resources, with a key that another admin puts after each change."""

        find = resources.find

        async def change(self, *arguments: Any) -> None:
            await resources.change(*arguments)
            await vault.update("ws_one", lambda _: {"GROQ_API_KEY": "new"})

    control = replace(world.control, resources=Interrupted())
    await credentials.delete_credential(control, WHOLE, "ws_one", "GROQ_API_KEY")
    assert (await vault.read("ws_one")) == {"GROQ_API_KEY": "new"}


async def test_a_deleted_key_is_in_the_vault_no_more(world: Managed) -> None:
    await workspaces.create_workspace(world.control, WHOLE, Workspace("ws_one", "One"))
    await put(world, "GROQ_API_KEY", "a")
    await put(world, "OPENAI_API_KEY", "b")
    await credentials.delete_credential(world.control, WHOLE, "ws_one", "GROQ_API_KEY")
    assert await stored(world) == (["OPENAI_API_KEY"], {"OPENAI_API_KEY": "b"})
