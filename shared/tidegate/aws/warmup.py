"""Loads before the first call what calls to the configured providers need.

For processes that Lambda starts before there is a call: for a SnapStart snapshot, and for provisioned concurrency.
These modules are most of what a first call would load.
"""

from tidegate.gateway import Gateway
from tidegate.lazy import load

_STREAMS = (
    ("tidegate.api.stream", "EventStream"),
    ("tidegate.upstream.sse", "SseDecoder"),
    ("tidegate.upstream.eventstream", "EventStreamDecoder"),
)


def warm_up(gateway: Gateway) -> None:
    """Load the modules of streams and of each provider that has all its settings. Opens no connection."""
    for module, name in _STREAMS:
        load(module, name)
    configs = gateway.router.provider_configs
    for spec in gateway.providers.specs():
        if spec.chats and not configs[spec.name].missing_settings:
            gateway.providers.load(spec.name)
