"""The proxies of the environment: HTTP_PROXY, HTTPS_PROXY and NO_PROXY, in either case, as urllib reads them."""

from urllib.request import getproxies, proxy_bypass

from tidegate.transport.origin import Origin, Proxy, parse_origin, parse_proxy


class EnvironmentProxies:
    """Read once: a process has the same proxies for its life."""

    def __init__(self) -> None:
        self._proxies = getproxies()

    def parse_origin(self, url: str) -> Origin:
        """The origin of a URL, behind its proxy. Raises `ValueError`."""
        origin = parse_origin(url)
        proxy = self._find_proxy(origin)
        return origin if proxy is None else parse_origin(url, proxy)

    def _find_proxy(self, origin: Origin) -> Proxy | None:
        url = self._proxies.get(origin.scheme) or self._proxies.get("all")
        if not url or proxy_bypass(origin.authority):
            return None
        return parse_proxy(url)
