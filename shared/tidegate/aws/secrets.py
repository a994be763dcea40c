"""Providers' credentials: one secret of Secrets Manager, whose JSON holds them by the names of their settings.

Source: https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetSecretValue.html
"""

import logging
import time
from collections.abc import Callable, Mapping

import anyio
import msgspec
from msgspec import Struct, field

from tidegate.aws.signed_post import post
from tidegate.domain.redacted import Redacted
from tidegate.errors import StoreUnavailable, UpstreamError
from tidegate.json import Json, JsonObject, decode, encode
from tidegate.transport.base import Timeouts, Transport
from tidegate.transport.sigv4 import AwsKeys, SigningScope

log = logging.getLogger(__name__)

MAX_AGE_SECONDS = 300.0
RETRY_SECONDS = 15.0
"""After a failed refresh the old values serve this long before the next try, so that not every call waits for one."""

_TIMEOUTS = Timeouts(total=5.0)
_MAX_BODY_BYTES = 1024 * 1024


class SecretsManagerError(StoreUnavailable):
    """Secrets Manager said no, or nothing. The message never holds any of a secret."""

    is_missing = False


class SecretsManagerClient(Struct, frozen=True):
    """Secrets Manager, asked with signed POSTs."""

    transport: Transport
    aws_keys: AwsKeys
    region: str
    url: str | None = None
    clock: Callable[[], float] = time.time

    async def call(self, action: str, payload: JsonObject) -> bytes:
        """The answer's body. Raises `Fault`, and `StoreUnavailable`."""
        scope, target = SigningScope("secretsmanager", self.region), f"secretsmanager.{action}"
        try:
            status, answer = await post(
                self.transport,
                self.aws_keys,
                scope,
                target,
                encode(payload),
                at=self.clock(),
                timeouts=_TIMEOUTS,
                endpoint=self.url,
                max_bytes=_MAX_BODY_BYTES,
            )
        except UpstreamError as error:
            raise _unavailable("Secrets Manager does not answer") from error
        if status != 200:
            fault = SecretsManagerError(
                f"Secrets Manager answers with {status} {_error_name(answer)}; try again in a moment.",
                retry_after_seconds=1,
            )
            fault.is_missing = _error_name(answer) == "ResourceNotFoundException"
            raise fault
        return answer


class provider_secret(Struct, frozen=True):
    """One secret: its JSON object, with the values that are text."""

    transport: Transport
    aws_keys: AwsKeys
    secret_id: str
    region: str
    endpoint: str | None = None
    clock: Callable[[], float] = time.time

    async def read(self) -> dict[str, str]:
        """What the secret holds now. Raises `StoreUnavailable`; the message never holds any of it."""
        there = SecretsManagerClient(self.transport, self.aws_keys, self.region, self.endpoint, self.clock)
        return secret_values(await there.call("GetSecretValue", {"SecretId": self.secret_id}))


class CachedSecrets(Redacted, Struct):
    """The port `Secrets`. What the secret does not hold is looked for in `fallback`, the process's own settings.

    Values are read again when they are older than `MAX_AGE_SECONDS`; they stay when that fails. `monotonic` measures
    that age while the process runs, and `source`'s clock while Lambda has it frozen.
    """

    source: provider_secret
    fallback: Mapping[str, str] = field(default_factory=dict[str, str])
    monotonic: Callable[[], float] = time.monotonic
    _values: dict[str, str] | None = None
    _fresh_until: tuple[float, float] = (0.0, 0.0)
    _refreshing: anyio.Lock = field(default_factory=anyio.Lock)

    async def get(self, name: str) -> str | None:
        """See `Secrets.get`."""
        values = self._values
        if values is None or not self._is_fresh():
            async with self._refreshing:
                values = self._values
                if values is None or not self._is_fresh():
                    values = await self._refresh(values)
        return (values.get(name) or self.fallback.get(name, "")).strip() or None

    def _is_fresh(self) -> bool:
        monotonic, wall = self._fresh_until
        return self.monotonic() < monotonic and self.source.clock() < wall

    async def _refresh(self, old: dict[str, str] | None) -> dict[str, str]:
        try:
            values, seconds = await self.source.read(), MAX_AGE_SECONDS
        except StoreUnavailable as error:
            log.warning("secrets.stale" if old is not None else "secrets.unavailable", extra={"error": error.message})
            if old is None:
                raise
            values, seconds = old, RETRY_SECONDS
        self._values = values
        self._fresh_until = (self.monotonic() + seconds, self.source.clock() + seconds)
        return values


def secret_values(answer: bytes) -> dict[str, str]:
    """Those values of the JSON object that are text. Raises `StoreUnavailable`."""
    match _decode_json(answer):
        case {"SecretString": str(text)}:
            held = _decode_json(text)
        case _:
            held = None
    if not isinstance(held, dict):
        raise _unavailable("The provider secret is not a JSON object")
    return {name: value for name, value in held.items() if isinstance(value, str)}


def _error_name(answer: bytes) -> str:
    """The name of AWS's error, without its message, which names the account."""
    match _decode_json(answer):
        case {"__type": str(name)}:
            return name.rpartition("#")[2]
        case _:
            return ""


def _decode_json(text: bytes | str) -> Json:
    try:
        return decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _unavailable(what: str) -> SecretsManagerError:
    return SecretsManagerError(f"{what}; try again in a moment.", retry_after_seconds=1)
