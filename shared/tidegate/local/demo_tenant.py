"""The demo tenant: a workspace with a key, and an admin key, so that the first call works at once.

A data folder keeps the demo keys in `demo_keys.json`: they are the same with each start, and what the operator has
revoked or deleted stays so.
"""

import time
from collections.abc import Mapping
from contextlib import suppress

import msgspec

from tidegate.aws.control import create_aws_control
from tidegate.aws.tenants import DynamoKeys, DynamoTenants
from tidegate.aws.world import AwsWorld
from tidegate.control.admins import with_secret
from tidegate.control.authorization import COMMAND_LINE_ACTOR
from tidegate.control.control import Control
from tidegate.domain.keys import display_prefix, hash_secret
from tidegate.domain.managed_resources import AdminKey
from tidegate.domain.workspace import VirtualKey, Workspace
from tidegate.errors import AlreadyExists
from tidegate.local.demo_keys import ADMIN_KEY_SETTING, KEY_SETTING, DemoKeys, choose_demo_keys
from tidegate.ports import Keys, Tenants
from tidegate.sqlite.folder import DEMO_KEYS_FILE, DataFolder

DEMO_WORKSPACE = "ws_demo"


async def seed_demo_tenant(tenants: Tenants, keys: Keys, demo_key: str) -> None:
    """Create the demo workspace and its key. Never called for a table on AWS."""
    now, key_hash = time.time(), hash_secret(demo_key)
    await tenants.put_workspace(Workspace(DEMO_WORKSPACE, "Demo", created_at=now))
    key = VirtualKey(
        id=f"key_demo_{key_hash[:8]}",
        hash=key_hash,
        prefix=display_prefix(demo_key),
        workspace_ids=(DEMO_WORKSPACE,),
        default_workspace_id=DEMO_WORKSPACE,
        name="demo",
        created_at=now,
    )
    await keys.put_key(key)


async def create_demo_admin(control: Control, secret: str) -> None:
    """Create the demo admin key, unless it exists. Never called for a table on AWS."""
    demo_admin = AdminKey("", "", "", ("read", "write", "content"), name="demo", created_at=control.clock())
    with suppress(AlreadyExists):
        await control.apply_change(COMMAND_LINE_ACTOR, "create", None, with_secret(secret, demo_admin))


async def seed_table(world: AwsWorld, demo_keys: DemoKeys) -> None:
    """Create the whole demo tenant in a world's table."""
    await seed_demo_tenant(DynamoTenants(world.store), DynamoKeys(world.store), demo_keys.key)
    await create_demo_admin(create_aws_control(world), demo_keys.admin_key)


def choose_kept_keys(folder: DataFolder, env: Mapping[str, str], key: str | None) -> tuple[DemoKeys, bool]:
    """Return `key` or those of the environment, else those of the folder, else random ones; True if they are new there.

    Raises `ConfigurationError`.
    """
    kept = _read_keys(folder)
    defaults = {KEY_SETTING: kept.key, ADMIN_KEY_SETTING: kept.admin_key} if kept else {}
    chosen = choose_demo_keys(defaults | {name: value for name, value in env.items() if value}, key)
    return chosen, chosen != kept


def keep_keys(folder: DataFolder, demo_keys: DemoKeys) -> None:
    """Write the keys to the folder, for this user alone. Raises `ConfigurationError`."""
    folder.write_file(DEMO_KEYS_FILE, msgspec.json.encode(demo_keys))


def _read_keys(folder: DataFolder) -> DemoKeys | None:
    try:
        return msgspec.json.decode((folder.path / DEMO_KEYS_FILE).read_bytes(), type=DemoKeys)
    except (OSError, msgspec.DecodeError):
        return None
