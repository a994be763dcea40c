"""The proxies of the environment and of the operating system, as urllib reads them."""

from urllib.request import getproxies, proxy_bypass

from tidegate.transport.origin import Origin, Proxy, parse_proxy


class SystemProxies:
    """Read once: a process has the same proxies for its life."""

    def __init__(self) -> None:
        self._proxies = getproxies()

    def find_proxy(self, origin: Origin) -> Proxy | None:
        """The proxy of an origin, unless NO_PROXY names the origin. Raises `ValueError` for an unsupported proxy."""
        url = self._proxies.get(origin.scheme) or self._proxies.get("all")
        if not url or proxy_bypass(origin.authority):
            return None
        return parse_proxy(url)
