"""Resolves a model's name to the deployments that can answer."""

from collections.abc import Callable, Iterator, Mapping

from msgspec import Struct
from msgspec.structs import replace

from tidegate.catalog import Catalog
from tidegate.domain.deployment import Deployment, ProviderConfig, Resolution
from tidegate.domain.limits import NO_LIMITS, Limits
from tidegate.domain.routes import Route, RouteTarget
from tidegate.domain.workspace import Workspace
from tidegate.errors import ConfigurationError, InvalidRequest, ModelNotFound, NotConfigured
from tidegate.lazy import load


class Router(Struct, frozen=True):
    """Resolves names over all known providers, their `aliases`, the operator's `routes` and the catalogue.

    A workspace's routes come first, then the operator's, then the models that the operator declared, then the
    catalogue; `default_provider` gets all other names. `one_model_providers` are the operator's own providers without
    declared models: the name of one, alone, is a model of that name there. Raises `ConfigurationError` when the default
    provider or the provider of a route is unknown.

        resolution = router.resolve("openai/gpt-4o", workspace)
    """

    provider_configs: Mapping[str, ProviderConfig]
    aliases: Mapping[str, str]
    catalog: Catalog
    default_provider: str | None = None
    routes: tuple[Route, ...] = ()
    one_model_providers: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        name = self.default_provider
        if name is not None and self.aliases.get(name, name) not in self.provider_configs:
            raise ConfigurationError(f"TIDEGATE_DEFAULT_PROVIDER is not a known provider: {name!r}.")
        for i, route in enumerate(self.routes):
            for j, target in enumerate(route.targets):
                fault = self._target_error(target)
                if fault is not None:
                    raise ConfigurationError(f"TIDEGATE_ROUTES[{i}].targets[{j}]: {fault}")

    def resolve(self, model_id: str, workspace: Workspace | None = None, key_limits: Limits = NO_LIMITS) -> Resolution:
        """Return the deployments for a route's name, for `provider/model`, or for a model's name alone.

        A name alone is looked up among the declared models, then in the catalogue; if it is unknown, it is a model of
        the default provider. Names that the catalogue knows as aliases lead to the provider's own name.
        Credentials of the workspace count as settings. A route leaves out targets that are not configured, if others
        remain. Raises `ModelNotFound` with similar names that the workspace and the key may use, `NotConfigured` with
        the missing settings, and `InvalidRequest` for a name that several providers declare.
        """
        own_route = next((route for route in workspace.routes if route.name == model_id), None) if workspace else None
        route = own_route or next((route for route in self.routes if route.name == model_id), None)
        if route is not None:
            return Resolution(self._route_deployments(route, workspace), route, own_route is not None)
        split = self._split(model_id, workspace)
        if split is None:
            raise self._not_found(model_id, workspace, key_limits)
        provider, name = split
        model = self.catalog.official_name(provider, name)
        config = self.provider_configs[provider]
        _check_configured(config, config.missing_settings, workspace)
        version, region = config.api_version, config.region
        limit = self.catalog.declared_output_limit(f"{provider}/{model}")
        deployment = Deployment(provider, model, config.base_url, config.secret, version, region, output_limit=limit)
        return Resolution((deployment,))

    def _route_deployments(self, route: Route, workspace: Workspace | None) -> tuple[Deployment, ...]:
        deployments: list[Deployment] = []
        fault: NotConfigured | None = None
        for i, target in enumerate(route.targets, 1):
            try:
                deployments.append(replace(self._deployment(target, workspace), label=f"{route.name}#{i}"))
            except NotConfigured as error:
                fault = fault or error
        if fault is not None and not deployments:
            raise fault
        return tuple(deployments)

    def _deployment(self, target: RouteTarget, workspace: Workspace | None) -> Deployment:
        """Build a deployment from the target, with its provider's settings as defaults. Raises `NotConfigured`."""
        fault = self._target_error(target)
        if fault is not None:
            raise NotConfigured(fault, param="model")
        name, _, model = target.model.partition("/")
        config = self.provider_configs[self.aliases.get(name, name)]
        _check_configured(config, tuple(_missing_settings(config, target)), workspace)
        url = config.base_url
        if target.region is not None and config.regional_url is not None:
            url = config.regional_url(target.region)
        model = self.catalog.official_name(config.provider, model)
        return Deployment(
            provider=config.provider,
            model=model,
            output_limit=self.catalog.declared_output_limit(f"{config.provider}/{model}"),
            base_url=target.base_url or url,
            secret=config.secret if target.key == "" else target.key,
            api_version=target.api_version or config.api_version,
            region=target.region or config.region,
            weight=target.weight,
        )

    def _target_error(self, target: RouteTarget) -> str | None:
        name = target.model.partition("/")[0]
        config = self.provider_configs.get(self.aliases.get(name, name))
        if config is None:
            return f"The provider of {target.model!r} is not known."
        if target.region is not None and config.regional_url is None:
            return f"The provider {config.provider!r} has no regions."
        return None

    def is_configured(self, provider: str, workspace: Workspace | None = None) -> bool:
        """True if the provider's settings are there, or are the workspace's own."""
        return not _unset(self.provider_configs[provider].missing_settings, workspace)

    def _split(self, model_id: str, workspace: Workspace | None) -> tuple[str, str] | None:
        """Return the provider and the model's name; None if no provider is known to have it."""
        prefix, slash, name_after_slash = model_id.partition("/")
        provider = self.aliases.get(prefix, prefix)
        if slash and name_after_slash and provider in self.provider_configs:
            return provider, name_after_slash
        declaring = self._declaring_provider(model_id, workspace)
        if declaring is not None:
            return declaring, model_id
        resolved = self.catalog.resolve_bare_name(model_id)
        if resolved is not None:
            catalog_provider, _, model = resolved.partition("/")
            config = self.provider_configs.get(catalog_provider)
            if config is not None and not config.missing_settings:
                return catalog_provider, model
        if self.default_provider is not None and not slash:
            return self.aliases.get(self.default_provider, self.default_provider), model_id
        if resolved is not None and resolved.partition("/")[0] in self.provider_configs:
            catalog_provider, _, model = resolved.partition("/")
            return catalog_provider, model
        for provider in self.catalog.providers_declaring(model_id):
            return provider, model_id  # it is not configured, and the error says what to set
        return None

    def _declaring_provider(self, name: str, workspace: Workspace | None) -> str | None:
        """Return the configured provider that declares the model. Raises `InvalidRequest` if there are several."""
        if name in self.one_model_providers:
            return name
        providers = [
            provider for provider in self.catalog.providers_declaring(name) if self.is_configured(provider, workspace)
        ]
        if len(providers) > 1:
            ids = " or ".join(f"{provider}/{name}" for provider in providers)
            message = f"The model {name!r} is declared by {' and '.join(providers)}: ask for {ids}."
            raise InvalidRequest(message, param="model")
        return providers[0] if providers else None

    def _not_found(self, model_id: str, workspace: Workspace | None, key_limits: Limits) -> ModelNotFound:
        own_routes, limits = (workspace.routes, workspace.effective_limits) if workspace else ((), NO_LIMITS)
        routes = {route.name: self._configured_deployments(route, workspace) for route in (*self.routes, *own_routes)}
        providers = {name for name in self.provider_configs if self.is_configured(name, workspace)}
        model_ids = (each for each in self.catalog.ids() if each.partition("/")[0] in providers)
        suggest: Callable[..., str] = load("tidegate.policy.routing.suggestions", "suggest_models")
        suggestion = suggest(model_id, routes, model_ids, (limits, key_limits))
        return ModelNotFound(f"The model {model_id!r} does not exist. {suggestion}", param="model")

    def _configured_deployments(self, route: Route, workspace: Workspace | None) -> tuple[Deployment, ...]:
        try:
            return self._route_deployments(route, workspace)
        except NotConfigured:
            return ()


def _missing_settings(config: ProviderConfig, target: RouteTarget) -> Iterator[str]:
    """Yield the missing settings that the target does not replace. A target without a key is signed, for a region."""
    has_key = target.key is not None and (config.secret is not None or target.key != "")
    for name in config.missing_settings:
        if name in config.replaced_by_key:
            is_replaced = target.key != ""
        elif name in config.replaced_by_region:
            is_replaced = target.region is not None or (target.base_url is not None and has_key)
        else:
            is_replaced = target.base_url is not None
        if not is_replaced:
            yield name


def _check_configured(config: ProviderConfig, missing: tuple[str, ...], workspace: Workspace | None) -> None:
    unset = _unset(missing, workspace)
    if unset:
        names = " and ".join(unset)
        raise NotConfigured(f"The provider {config.provider!r} is not configured: set {names}.", param="model")


def _unset(missing: tuple[str, ...], workspace: Workspace | None) -> list[str]:
    """Return the missing settings that are not credentials of the workspace."""
    return [name for name in missing if not (workspace and workspace.has_credential(name.partition(" or ")[0]))]
