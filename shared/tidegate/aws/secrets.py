"""Provider credentials: one secret in Secrets Manager, whose JSON holds them by the names of their settings.

Source: https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetSecretValue.html
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from math import inf

import msgspec
from msgspec import Struct

from tidegate.domain.timed_cache import TimedCache
from tidegate.errors import StoreUnavailable, UpstreamError
from tidegate.json import Json, JsonObject, decode, encode
from tidegate.settings import AwsSettings
from tidegate.transport.aws_service import AwsService
from tidegate.transport.base import Timeouts, Transport
from tidegate.transport.sigv4 import AwsKeys

log = logging.getLogger(__name__)

MAX_AGE_SECONDS = 300.0
RETRY_SECONDS = 15.0
"""After a failed refresh, the old values are used this long before the next try, so that not every call waits."""

_TIMEOUTS = Timeouts(total=5.0)
_MAX_BODY_BYTES = 1024 * 1024


class SecretsManagerError(StoreUnavailable):
    """Secrets Manager refused a request, or did not answer. The message never contains any part of a secret."""

    is_missing = False
    is_existing = False


class SecretsManagerClient(Struct, frozen=True):
    """A client of Secrets Manager."""

    service: AwsService

    async def call(self, action: str, payload: JsonObject) -> bytes:
        """The body of the answer to one action. Raises `SecretsManagerError`, and `StoreUnavailable`."""
        target, body = f"secretsmanager.{action}", encode(payload)
        try:
            status, answer = await self.service.post(target, body, _TIMEOUTS, max_bytes=_MAX_BODY_BYTES)
        except UpstreamError as error:
            raise _unavailable("Secrets Manager does not answer") from error
        if status != 200:
            name = _error_name(answer)
            message = f"Secrets Manager answered with {status} {name}; try again in a moment."
            error = SecretsManagerError(message, retry_after_seconds=1)
            error.is_missing = name == "ResourceNotFoundException"
            error.is_existing = name == "ResourceExistsException"
            raise error
        return answer

    def now(self) -> float:
        """The time in UTC seconds."""
        return self.service.clock()


def create_secrets_manager_client(
    transport: Transport, aws_keys: AwsKeys, region: str, endpoint: str | None = None
) -> SecretsManagerClient:
    """A client of Secrets Manager at `endpoint`, or else in `region`. Opens nothing; the caller owns `transport`."""
    return SecretsManagerClient(AwsService(transport, aws_keys, region, "secretsmanager", endpoint))


class ProviderSecret(Struct, frozen=True):
    """The secret with provider credentials: a JSON object, of which only text values are used."""

    client: SecretsManagerClient
    secret_id: str

    async def read(self) -> dict[str, str]:
        """The current values, by name. Raises `StoreUnavailable`; the message never contains any of them."""
        return secret_values(await self.client.call("GetSecretValue", {"SecretId": self.secret_id}))


def provider_secret(
    transport: Transport, aws_keys: AwsKeys, secret_id: str, region: str, endpoint: str | None = None
) -> ProviderSecret:
    """The secret of that name or ARN in Secrets Manager; it is read only by `ProviderSecret.read`."""
    return ProviderSecret(create_secrets_manager_client(transport, aws_keys, region, endpoint), secret_id)


class CachedSecrets:
    """The port `Secrets`. Names that the secret does not hold are looked up in `fallback`, the process's own settings.

    Values older than `MAX_AGE_SECONDS` by either clock are read again; if that fails, the old ones stay.
    """

    def __init__(
        self,
        source: ProviderSecret,
        fallback: Mapping[str, str] | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._source = source
        self._fallback = fallback or {}
        self._cache = TimedCache[str, dict[str, str]](1, monotonic=monotonic, wall=source.client.now)
        self._max_age_seconds = MAX_AGE_SECONDS
        self._refreshing = asyncio.Lock()

    def cached(self, name: str) -> str | None:
        """See `Secrets.cached`."""
        values = self._find_values(self._max_age_seconds)
        return None if values is None else self._value(values, name)

    async def get(self, name: str) -> str | None:
        """See `Secrets.get`."""
        values = self._find_values(self._max_age_seconds)
        if values is None:
            async with self._refreshing:
                values = self._find_values(self._max_age_seconds)
                if values is None:
                    values = await self._refresh()
        return self._value(values, name)

    def _value(self, values: Mapping[str, str], name: str) -> str | None:
        return (values.get(name) or self._fallback.get(name, "")).strip() or None

    def _find_values(self, max_age_seconds: float) -> dict[str, str] | None:
        entry = self._cache.find(self._source.secret_id, max_age_seconds)
        return None if entry is None else entry.value

    async def _refresh(self) -> dict[str, str]:
        try:
            values, self._max_age_seconds = await self._source.read(), MAX_AGE_SECONDS
        except StoreUnavailable as error:
            old = self._find_values(inf)
            log.warning("secrets.stale" if old is not None else "secrets.unavailable", extra={"error": error.message})
            if old is None:
                raise
            values, self._max_age_seconds = old, RETRY_SECONDS
        self._cache.put(self._source.secret_id, values)
        return values


def create_provider_secrets(
    transport: Transport, aws_keys: AwsKeys, aws: AwsSettings, secret_id: str, fallback: Mapping[str, str]
) -> CachedSecrets:
    """Create the `Secrets` of that secret, and of `fallback`. Opens nothing; the caller owns `transport`."""
    return CachedSecrets(provider_secret(transport, aws_keys, secret_id, aws.region, aws.secrets_endpoint), fallback)


def secret_values(answer: bytes) -> dict[str, str]:
    """The text values of the secret in an answer of Secrets Manager, by name. Raises `StoreUnavailable`."""
    match _decode_json(answer):
        case {"SecretString": str(text)}:
            values = _decode_json(text)
        case _:
            values = None
    if not isinstance(values, dict):
        message = "The secret is not a JSON object: correct its value in Secrets Manager."
        raise SecretsManagerError(message, retry_after_seconds=1)
    return {name: value for name, value in values.items() if isinstance(value, str)}


def _error_name(answer: bytes) -> str:
    """The name of AWS's error. Its message is left out, because it names the account."""
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


def _unavailable(reason: str) -> SecretsManagerError:
    return SecretsManagerError(f"{reason}; try again in a moment.", retry_after_seconds=1)
