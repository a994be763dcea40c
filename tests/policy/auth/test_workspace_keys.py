from collections.abc import Mapping
from dataclasses import dataclass, field

from msgspec.structs import replace

from tests.store_worlds import NOON, Clock, workspace
from tidegate.domain.workspace import Workspace, WorkspaceCredential
from tidegate.policy.auth.workspace_keys import WorkspaceKeys

NAME = "OPENAI_API_KEY"


@dataclass
class Vault:
    """The port, which counts its reads."""

    kept: dict[str, Mapping[str, str]] = field(default_factory=dict)
    reads: int = 0

    async def read(self, workspace_id: str) -> Mapping[str, str]:
        self.reads += 1
        return self.kept.get(workspace_id, {})

    async def write(self, workspace_id: str, credentials: Mapping[str, str]) -> None:
        self.kept[workspace_id] = credentials


def owner(changed_at: float = NOON - 3600, id: str = "ws_one") -> Workspace:
    return replace(workspace(id), credentials=(WorkspaceCredential(NAME, changed_at),))


async def test_a_workspace_without_keys_of_its_own_costs_no_read() -> None:
    keys = WorkspaceKeys(vault := Vault())
    assert keys.secrets_for(workspace(), NAME) is None
    assert keys.secrets_for(owner(), "GROQ_API_KEY") is None
    assert keys.secrets_for(owner(), None) is None
    assert vault.reads == 0


async def test_a_key_is_read_once_in_a_minute_by_either_clock() -> None:
    wall, monotonic = Clock(), Clock(100)
    keys = WorkspaceKeys(vault := Vault({"ws_one": {NAME: "a"}}), monotonic, wall)

    own = keys.secrets_for(owner(), NAME)
    assert own is not None

    async def read() -> str | None:
        return await own.get(NAME)

    assert own.cached(NAME) is None
    assert [await read(), own.cached(NAME), await read(), vault.reads] == ["a", "a", "a", 1]
    wall.now += 60
    assert own.cached(NAME) is None
    assert [await read(), vault.reads] == ["a", 2]
    monotonic.now += 60
    assert [await read(), vault.reads] == ["a", 3]


async def test_a_key_that_was_changed_is_read_again() -> None:
    wall = Clock()
    keys = WorkspaceKeys(vault := Vault({"ws_one": {NAME: "a"}}), Clock(100), wall)
    assert await keys.find_key(owner(), NAME) == "a"
    vault.kept["ws_one"] = {NAME: "b"}
    wall.now += 5
    assert keys.cached_key(owner(), NAME) == "a"
    assert keys.cached_key(owner(NOON + 4), NAME) is None
    assert await keys.find_key(owner(NOON + 4), NAME) == "b"
    assert await keys.find_key(owner(NOON + 4), NAME) == "b"
    assert vault.reads == 2


async def test_one_workspace_never_gets_the_key_of_another() -> None:
    keys = WorkspaceKeys(Vault({"ws_one": {NAME: "a"}, "ws_two": {NAME: "b"}}), clock=Clock())
    assert await keys.find_key(owner(), NAME) == "a"
    assert await keys.find_key(owner(id="ws_two"), NAME) == "b"
    assert await keys.find_key(owner(id="ws_three"), NAME) is None


async def test_without_a_vault_there_is_no_key() -> None:
    assert await WorkspaceKeys().find_key(owner(), NAME) is None
