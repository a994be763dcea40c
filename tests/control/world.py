"""A control plane in memory, and who uses it."""

from dataclasses import dataclass

from tests.store_worlds import NOON, World, memory_world
from tidegate.control.authorization import COMMAND_LINE_ACTOR
from tidegate.control.control import Control
from tidegate.domain.managed_resources import AdminKey, AuditEntry
from tidegate.memory.traces import MemoryTraces
from tidegate.memory.vault import MemoryVault

WHOLE = COMMAND_LINE_ACTOR
READER = AdminKey("adm_reader", "1" * 64, "sk-tidegate-admin-read", ("read",), created_at=NOON)
OF_ONE = AdminKey("adm_one", "2" * 64, "sk-tidegate-admin-one", ("read", "write"), ("ws_one",), created_at=NOON)


@dataclass(frozen=True)
class Managed:
    stores: World
    control: Control

    async def log(self) -> list[tuple[str, str]]:
        """What was done to what, sorted: the clock stands still."""
        entries: list[AuditEntry] = list(await self.stores.register.entries(None, None, 200))
        return sorted((entry.action, entry.target) for entry in entries)


def managed() -> Managed:
    stores = memory_world()
    ports = (stores.register, stores.usages, stores.ledger, stores.clock, MemoryVault())
    return Managed(stores, Control(*ports, traces=MemoryTraces(stores.clock)))
