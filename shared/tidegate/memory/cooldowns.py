"""Deployments that cool down, where there is one process: it is told what it said itself."""

from collections.abc import Callable, Mapping

from msgspec import Struct


class MemoryCooldowns(Struct, frozen=True):
    """The port `Cooldowns`."""

    on_cooldowns: Callable[[str | None, Mapping[str, float]], None]

    async def tell(self, home: str | None, deployment_id: str, until: float) -> None:
        """See `Cooldowns.tell`."""
        self.on_cooldowns(home, {deployment_id: until})
