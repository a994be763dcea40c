"""The endpoints whose calls a file of requests may name."""

from collections.abc import Mapping

from tidegate.domain.operation import Operation
from tidegate.domain.surface import Surface

Endpoints = Mapping[str, tuple[Surface, Operation]]


def batch_endpoints(endpoints: Endpoints) -> Endpoints:
    """Return the endpoints in OpenAI's dialect without variable paths, and their other names, such as Azure's."""
    return {
        path: (surface, operation)
        for path, (surface, operation) in endpoints.items()
        if surface.name == "openai" and "{" not in path
    }
