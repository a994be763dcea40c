"""How the data plane meets its clients."""

from msgspec import Struct


class ServerOptions(Struct, frozen=True):
    """`cors_origins` empty: no browser may call; "*": any may, without credentials, since keys are bearer tokens."""

    max_body_bytes: int = 10 * 1024 * 1024
    keep_alive_seconds: float = 15.0
    cors_origins: tuple[str, ...] = ("*",)
