"""Which deployments answer for a model's name."""

from collections.abc import Mapping
from dataclasses import dataclass

from tidegate.catalog import Catalog
from tidegate.domain.model import Deployment, Endpoint, Plan
from tidegate.domain.workspace import Workspace
from tidegate.errors import ConfigurationError, ModelNotFound, NotConfigured


@dataclass(frozen=True, slots=True)
class Router:
    """`endpoints` are all known providers, `aliases` other names for them; `default_provider` takes bare ids.

    Raises `ConfigurationError` when the default provider is none of them.
    """

    endpoints: Mapping[str, Endpoint]
    aliases: Mapping[str, str]
    catalog: Catalog
    default_provider: str | None = None

    def __post_init__(self) -> None:
        name = self.default_provider
        if name is not None and self.aliases.get(name, name) not in self.endpoints:
            raise ConfigurationError(f"TIDEGATE_DEFAULT_PROVIDER names no known provider: {name!r}.")

    def plan(self, model_id: str, workspace: Workspace | None = None) -> Plan:
        """The plan for `provider/model`, or for a bare id through the catalogue's aliases and the default provider.

        A key that the workspace brings is not missing. Raises `ModelNotFound` with the nearest names, and
        `NotConfigured` naming the settings that are missing.
        """
        provider, model = self._split(model_id)
        endpoint = self.endpoints[provider]
        missing = [name for name in endpoint.missing if not (workspace and workspace.owns(name.partition(" or ")[0]))]
        if missing:
            needed = " and ".join(missing)
            raise NotConfigured(f"The provider {provider!r} is not configured: set {needed}.", param="model")
        version, region = endpoint.api_version, endpoint.region
        return Plan((Deployment(provider, model, endpoint.base_url, endpoint.secret, version, region),))

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
