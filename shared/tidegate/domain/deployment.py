"""What a model's name leads to."""

from collections.abc import Callable
from typing import NamedTuple

from msgspec import Struct

from tidegate.domain.routes import Route


class Deployment(Struct, frozen=True):
    """One place that answers for a model: `model` is the provider's own name for it, `secret` the name of its key.

    `region` is the cloud's, where the provider is a part of one. Of a route's deployments, `weight` is its share, and
    `label` what callers may know of it: "fast#2" is the second target of the route "fast".
    """

    provider: str
    model: str
    base_url: str
    secret: str | None = None
    api_version: str | None = None
    region: str | None = None
    weight: int = 1
    label: str | None = None

    @property
    def model_id(self) -> str:
        return f"{self.provider}/{self.model}"

    @property
    def display_name(self) -> str:
        """Its model, and of a route which target: "openai/gpt-4o(fast#2)"."""
        return self.model_id if self.label is None else f"{self.model_id}({self.label})"

    @property
    def identity(self) -> str:
        """What tells it from every other deployment, in whatever route."""
        parts = (self.model_id, self.base_url, self.secret, self.api_version, self.region)
        return "\n".join(part or "" for part in parts)


class ProviderConfig(Struct, frozen=True):
    """A provider as the operator configured it. `missing` names the settings that a call would still need.

    Of those, `without_key` are the ones that a key of its own makes up for, `without_region` those that a region does.
    `url_in` gives the base URL in another region; None where the provider has no regions.
    """

    provider: str
    base_url: str
    secret: str | None = None
    missing_settings: tuple[str, ...] = ()
    region: str | None = None
    api_version: str | None = None
    replaced_by_key: tuple[str, ...] = ()
    replaced_by_region: tuple[str, ...] = ()
    regional_url: Callable[[str], str] | None = None


class Resolution(Struct, frozen=True):
    """The deployments for one call, in the order in which they are tried. Never empty.

    `route` is the one that was asked for by its name, `is_own` one of the workspace's.
    """

    deployments: tuple[Deployment, ...]
    route: Route | None = None
    is_workspace_route: bool = False


class DeploymentKey(NamedTuple):
    """A deployment under some credentials: `home` is the workspace whose they are, None for the gateway's."""

    workspace_id: str | None
    id: str


class Cooldown(NamedTuple):
    """A deployment that has begun to cool down, `until` UTC seconds, under the `name` that people know it by."""

    deployment_key: DeploymentKey
    ends_at: float
    name: str
