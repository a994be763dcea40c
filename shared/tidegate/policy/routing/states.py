"""The state of providers in this process: how they are configured, and which targets of routes cool down."""

from collections.abc import Iterator, Mapping, Sequence

from msgspec import Struct

from tidegate.domain.deployment import CoolingTarget, ProviderConfig
from tidegate.domain.workspace import Workspace
from tidegate.errors import NotConfigured
from tidegate.policy.routing.balancer import Balancer
from tidegate.policy.routing.router import Router


class RoutingStates(Struct, frozen=True):
    """The port `ProviderStates` of the control plane, over the router and the balancer of its process."""

    router: Router
    balancer: Balancer

    @property
    def configs(self) -> Mapping[str, ProviderConfig]:
        """See `ProviderStates.configs`."""
        return self.router.provider_configs

    async def cooling_targets(self, workspaces: Sequence[Workspace]) -> Sequence[CoolingTarget]:
        """See `ProviderStates.cooling_targets`."""
        return list(dict.fromkeys(target for each in workspaces for target in self._cooling_targets(each)))

    def _cooling_targets(self, workspace: Workspace) -> Iterator[CoolingTarget]:
        names = dict.fromkeys(route.name for route in (*workspace.routes, *self.router.routes))
        for name in names:
            try:
                resolution = self.router.resolve(name, workspace)
            except NotConfigured:
                continue
            for deployment in resolution.deployments:
                ends_at = self.balancer.cooldown_ends_at(deployment, resolution, workspace)
                if ends_at is not None:
                    yield CoolingTarget(deployment.provider, deployment.model, deployment.label or name, ends_at)
