"""What a model's name leads to."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Deployment:
    """One place that answers for a model: `model` is the provider's own name for it, `secret` the name of its key.

    `region` is the cloud's, where the provider is a part of one.
    """

    provider: str
    model: str
    base_url: str
    secret: str | None = None
    api_version: str | None = None
    region: str | None = None

    @property
    def model_id(self) -> str:
        return f"{self.provider}/{self.model}"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A provider as the operator configured it. `missing` names the settings that a call would still need."""

    provider: str
    base_url: str
    secret: str | None = None
    missing: tuple[str, ...] = ()
    region: str | None = None
    api_version: str | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """The deployments for one call, in the order in which they are tried. Never empty."""

    deployments: tuple[Deployment, ...]
