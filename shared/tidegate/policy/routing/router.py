"""Which deployments answer for a model's name."""

from collections.abc import Iterator, Mapping

from msgspec import Struct
from msgspec.structs import replace

from tidegate.catalog import Catalog
from tidegate.domain.deployment import Deployment, Endpoint, Plan
from tidegate.domain.routes import Route, Target
from tidegate.domain.workspace import Workspace
from tidegate.errors import ConfigurationError, ModelNotFound, NotConfigured


class Router(Struct, frozen=True):
    """`endpoints` are all known providers, `aliases` other names for them; `default_provider` takes bare ids.

    `routes` are the operator's; a workspace's own come first, and both before the catalogue. Raises
    `ConfigurationError` when the default provider or a route's is none of those that are known.
    """

    endpoints: Mapping[str, Endpoint]
    aliases: Mapping[str, str]
    catalog: Catalog
    default_provider: str | None = None
    routes: tuple[Route, ...] = ()

    def __post_init__(self) -> None:
        name = self.default_provider
        if name is not None and self.aliases.get(name, name) not in self.endpoints:
            raise ConfigurationError(f"TIDEGATE_DEFAULT_PROVIDER names no known provider: {name!r}.")
        for i, route in enumerate(self.routes):
            for j, target in enumerate(route.targets):
                fault = self._fault(target)
                if fault is not None:
                    raise ConfigurationError(f"TIDEGATE_ROUTES[{i}].targets[{j}]: {fault}")

    def plan(self, model_id: str, workspace: Workspace | None = None) -> Plan:
        """The plan for a route's name, for `provider/model`, or for a bare id through the catalogue's aliases and the
        default provider.

        A key that the workspace brings is not missing. Of a route, the targets that cannot be asked are left out.
        Raises `ModelNotFound` with the nearest names, and `NotConfigured` naming the settings that are missing.
        """
        own = next((route for route in workspace.routes if route.name == model_id), None) if workspace else None
        route = own or next((route for route in self.routes if route.name == model_id), None)
        if route is not None:
            return Plan(self._targets(route, workspace), route, own is not None)
        provider, model = self._split(model_id)
        endpoint = self.endpoints[provider]
        _check_complete(endpoint, endpoint.missing, workspace)
        version, region = endpoint.api_version, endpoint.region
        return Plan((Deployment(provider, model, endpoint.base_url, endpoint.secret, version, region),))

    def _targets(self, route: Route, workspace: Workspace | None) -> tuple[Deployment, ...]:
        found: list[Deployment] = []
        fault: NotConfigured | None = None
        for i, target in enumerate(route.targets, 1):
            try:
                found.append(replace(self._deployment(target, workspace), label=f"{route.name}#{i}"))
            except NotConfigured as error:
                fault = fault or error
        if fault is not None and not found:
            raise fault
        return tuple(found)

    def _deployment(self, target: Target, workspace: Workspace | None) -> Deployment:
        """The target's own settings, and those of its provider where it says nothing. Raises `NotConfigured`."""
        fault = self._fault(target)
        if fault is not None:
            raise NotConfigured(fault, param="model")
        name, _, model = target.model.partition("/")
        endpoint = self.endpoints[self.aliases.get(name, name)]
        _check_complete(endpoint, tuple(_missing(endpoint, target)), workspace)
        url = endpoint.base_url
        if target.region is not None and endpoint.url_in is not None:
            url = endpoint.url_in(target.region)
        return Deployment(
            provider=endpoint.provider,
            model=model,
            base_url=target.base_url or url,
            secret=endpoint.secret if target.key == "" else target.key,
            api_version=target.api_version or endpoint.api_version,
            region=target.region or endpoint.region,
            weight=target.weight,
        )

    def _fault(self, target: Target) -> str | None:
        name = target.model.partition("/")[0]
        endpoint = self.endpoints.get(self.aliases.get(name, name))
        if endpoint is None:
            return f"{target.model!r} names no known provider."
        if target.region is not None and endpoint.url_in is None:
            return f"The provider {endpoint.provider!r} has no regions."
        return None

    def _split(self, model_id: str) -> tuple[str, str]:
        prefix, slash, rest = model_id.partition("/")
        provider = self.aliases.get(prefix, prefix)
        if slash and rest and provider in self.endpoints:
            return provider, rest
        resolved = self.catalog.resolve(model_id)
        if resolved is not None:
            known, _, model = resolved.partition("/")
            if known in self.endpoints and not self.endpoints[known].missing:
                return known, model
        if self.default_provider is not None and not slash:
            return self.aliases.get(self.default_provider, self.default_provider), model_id
        if resolved is not None and resolved.partition("/")[0] in self.endpoints:
            known, _, model = resolved.partition("/")
            return known, model
        raise self._not_found(model_id)

    def _not_found(self, model_id: str) -> ModelNotFound:
        near = self.catalog.nearest(model_id)
        hint = f" Did you mean {', '.join(near)}?" if near else " Models are named provider/model."
        return ModelNotFound(f"The model {model_id!r} does not exist.{hint}", param="model")


def _missing(endpoint: Endpoint, target: Target) -> Iterator[str]:
    """Of what is missing, what the target does not make up for. Without a key, a signature needs a region."""
    has_key = target.key is not None and (endpoint.secret is not None or target.key != "")
    for name in endpoint.missing:
        if name in endpoint.without_key:
            is_given = target.key != ""
        elif name in endpoint.without_region:
            is_given = target.region is not None or (target.base_url is not None and has_key)
        else:
            is_given = target.base_url is not None
        if not is_given:
            yield name


def _check_complete(endpoint: Endpoint, missing: tuple[str, ...], workspace: Workspace | None) -> None:
    still = [name for name in missing if not (workspace and workspace.owns(name.partition(" or ")[0]))]
    if still:
        needed = " and ".join(still)
        raise NotConfigured(f"The provider {endpoint.provider!r} is not configured: set {needed}.", param="model")
