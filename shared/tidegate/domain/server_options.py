"""Options of the data plane's HTTP server."""

from msgspec import Struct


class ServerOptions(Struct, frozen=True):
    """`cors_origins` are the allowed browser origins; "*" allows all. Cookies are never allowed."""

    max_body_bytes: int = 10 * 1024 * 1024
    keep_alive_seconds: float = 15.0
    cors_origins: tuple[str, ...] = ()
