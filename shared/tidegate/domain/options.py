"""How the data plane meets its clients."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Options:
    """`cors_origins` empty: no browser may call; "*": any may, without credentials, since keys are bearer tokens."""

    max_body_bytes: int = 10 * 1024 * 1024
    keep_alive_seconds: float = 15.0
    cors_origins: tuple[str, ...] = ("*",)
