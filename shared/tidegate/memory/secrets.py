"""Providers' credentials from a mapping: the environment of a laptop, or a test's."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class MappingSecrets:
    """The port `Secrets`. A name that is set to nothing is not set."""

    values: Mapping[str, str] = field(repr=False)

    async def get(self, name: str) -> str | None:
        """See `Secrets.get`."""
        return self.values.get(name, "").strip() or None
