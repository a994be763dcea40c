"""Deployments and provider configurations: where a model's name leads to."""

from collections.abc import Callable
from functools import cached_property
from typing import NamedTuple

from msgspec import Struct

from tidegate.domain.routes import Route


class Deployment(Struct, frozen=True, dict=True, cache_hash=True):
    """A model at one provider and base URL. `model` is the provider's name for it, `secret` the setting with its key.

    `region` is the region of a cloud provider. In a route, `weight` is the deployment's share of the calls, and `label`
    its name towards callers: "fast#2" is the second target of the route "fast". `output_limit` is the longest answer of
    a model that the operator declared; a dialect sends it if it must send a limit.
    """

    provider: str
    model: str
    base_url: str
    secret: str | None = None
    api_version: str | None = None
    region: str | None = None
    weight: int = 1
    label: str | None = None
    output_limit: int | None = None

    @cached_property
    def model_id(self) -> str:
        return f"{self.provider}/{self.model}"

    @cached_property
    def display_name(self) -> str:
        """The model, with the label of a route's target: "openai/gpt-4o(fast#2)"."""
        return self.model_id if self.label is None else f"{self.model_id}({self.label})"

    @property
    def identity(self) -> str:
        """A text that identifies the deployment, whichever route it is in: all fields but weight and label."""
        parts = (self.model_id, self.base_url, self.secret, self.api_version, self.region)
        return "\n".join(part or "" for part in parts)


class ProviderConfig(Struct, frozen=True):
    """A provider as the operator configured it. `missing_settings` are required settings that are not set.

    A route's target with a key needs none of `replaced_by_key`, one with a region none of `replaced_by_region`.
    `regional_url` returns the base URL of a region; None if the provider has no regions.
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
    """The deployments for one call, in the order of the route; never empty.

    `route` is the route that the caller named, None for a model. `is_workspace_route`: the workspace owns the route.
    `is_trial`: the call tests the first deployment, whose cooldown is over or whose latency is unknown.
    """

    deployments: tuple[Deployment, ...]
    route: Route | None = None
    is_workspace_route: bool = False
    is_trial: bool = False


class DeploymentKey(NamedTuple):
    """A deployment's id, and the workspace whose credentials it is used with; None for the gateway's."""

    workspace_id: str | None
    id: str


class CoolingTarget(NamedTuple):
    """A target of a route that is asked last until `ends_at` UTC seconds. `name` is its place there: "fast#2"."""

    provider: str
    model: str
    name: str
    ends_at: float

    @classmethod
    def from_display_name(cls, display_name: str, ends_at: float) -> "CoolingTarget":
        """Return the target with a deployment's display name: "openai/gpt-4o(fast#2)"."""
        model_id, _, label = display_name.removesuffix(")").rpartition("(")
        provider, _, model = model_id.partition("/")
        return cls(provider, model, label, ends_at)


class Cooldown(NamedTuple):
    """A cooldown that has begun and ends at `ends_at` UTC seconds. `name` is the deployment's display name."""

    deployment_key: DeploymentKey
    ends_at: float
    name: str
