"""Tells whether there may be proxies: HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY, in either case, or the system's.

To import urllib.request takes 8 ms of a cold start, so that it waits until one of the variables is set.
"""

import os
import sys
from typing import Protocol

from tidegate.lazy import load
from tidegate.transport.origin import Origin, Proxy

_HAVE_SETTINGS_OF_THEIR_OWN = ("darwin", "win32")


class Proxies(Protocol):
    """Finds the proxies of origins. `system_proxies.SystemProxies` implements it."""

    def find_proxy(self, origin: Origin) -> Proxy | None: ...


class NoProxies:
    """Lets all requests go straight to their origins."""

    def find_proxy(self, origin: Origin) -> Proxy | None:
        return None


def read_proxies() -> Proxies:
    """The proxies of this process."""
    if sys.platform in _HAVE_SETTINGS_OF_THEIR_OWN or any(name.lower().endswith("_proxy") for name in os.environ):
        return load("tidegate.transport.system_proxies", "SystemProxies")()
    return NoProxies()
