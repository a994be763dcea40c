"""Deployments that cool down, in a gateway with a single process."""

from collections.abc import Callable, Mapping

from msgspec import Struct


class MemoryCooldowns(Struct, frozen=True):
    """The port `Cooldowns`: what is announced goes straight to `on_cooldowns`, because there is no other process."""

    on_cooldowns: Callable[[str | None, Mapping[str, float]], None]

    async def tell(self, workspace_id: str | None, deployment_id: str, until: float, name: str = "") -> None:
        """See `Cooldowns.tell`."""
        self.on_cooldowns(workspace_id, {deployment_id: until})
