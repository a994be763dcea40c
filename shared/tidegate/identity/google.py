"""Access tokens for Vertex AI, from a service account's key or from the AWS role of this process.

Sources: https://developers.google.com/identity/protocols/oauth2/service-account (signed JWT),
https://cloud.google.com/iam/docs/workload-identity-federation-with-other-clouds (AWS),
https://cloud.google.com/iam/docs/reference/sts/rest/v1/TopLevel/token, https://google.aip.dev/auth/4117.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Protocol
from urllib.parse import quote, urlencode, urlsplit

import msgspec
from msgspec import Struct, field

from tidegate.domain.redacted import Redacted
from tidegate.errors import NotConfigured, ProviderAuth, ProviderMalformed, ProviderOverloaded
from tidegate.json import Json, JsonObject, decode, encode
from tidegate.lazy import load
from tidegate.ports import Secrets
from tidegate.providers.base import AccessToken
from tidegate.transport.base import HttpRequest, Timeouts, Transport
from tidegate.transport.sigv4 import AwsKeys, SigningScope, sign

TOKEN_SETTING = "VERTEX_API_KEY"
CREDENTIALS_SETTING = "GOOGLE_VERTEX_CREDENTIALS"
RENEW_EARLY_SECONDS = 300.0
"""A token is replaced this long before it expires, so that it stays valid for the whole call."""

_OAUTH_SCOPE = "https://www.googleapis.com/auth/cloud-platform"
_TIMEOUTS = Timeouts(total=10.0)
_MAX_BODY_BYTES = 64 * 1024
_FORM = "application/x-www-form-urlencoded"
_TOKEN_TYPE = "urn:ietf:params:oauth:token-type:access_token"


class CreateAssertion(Protocol):
    """See `service_account.create_assertion`. Its module is loaded late, because it imports `cryptography`."""

    def __call__(self, claims: Mapping[str, Json], private_key_pem: str, key_id: Json) -> str: ...


class GoogleToken(Redacted, Struct, frozen=True):
    """A bearer token, and when it expires (UTC seconds)."""

    value: str
    expires_at: float


class AwsRole(Struct, frozen=True):
    """The AWS role of this process, for workload identity federation."""

    aws_keys: AwsKeys
    region: str


class GoogleAccessTokens(Redacted, Struct):
    """The access tokens of one set of credentials: the JSON of a service account, or of an external account on AWS."""

    credentials: JsonObject
    transport: Transport
    aws: AwsRole | None = None
    clock: Callable[[], float] = time.time
    _token: GoogleToken | None = None
    _refresh_lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def token(self) -> str:
        """A token valid for the next minutes. Raises `NotConfigured` and `UpstreamError`; no message holds a secret."""
        if (token := self._unexpired_token()) is None:
            async with self._refresh_lock:
                if (token := self._unexpired_token()) is None:
                    self._token = token = await self._request_token()
        return token.value

    def _unexpired_token(self) -> GoogleToken | None:
        token = self._token
        return token if token is not None and self.clock() < token.expires_at - RENEW_EARLY_SECONDS else None

    async def _request_token(self) -> GoogleToken:
        match self.credentials:
            case {"type": "service_account", "client_email": str(email), "private_key": str(pem)}:
                return await self._service_account_token(email, pem)
            case {"type": "external_account", "audience": str(audience), "token_url": str(url)}:
                return await self._federated_token(audience, url)
            case _:
                raise _unusable_credentials("it must be the JSON of a service account or of an external account on AWS")

    async def _service_account_token(self, email: str, pem: str) -> GoogleToken:
        url = _require_https(self.credentials.get("token_uri") or "https://oauth2.googleapis.com/token")
        now = int(self.clock())
        claims = {"iss": email, "scope": _OAUTH_SCOPE, "aud": url, "iat": now, "exp": now + 3600}
        create_assertion: CreateAssertion = load("tidegate.identity.service_account", "create_assertion")
        try:
            assertion = create_assertion(claims, pem, self.credentials.get("private_key_id"))
        except ValueError as error:
            raise _unusable_credentials(str(error)) from None
        grant = "urn:ietf:params:oauth:grant-type:jwt-bearer"
        return await self._exchange(url, {"grant_type": grant, "assertion": assertion})

    async def _federated_token(self, audience: str, url: str) -> GoogleToken:
        """A token for the AWS role, or for the service account that the credentials tell it to impersonate."""
        form = {
            "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
            "audience": audience,
            "scope": _OAUTH_SCOPE,
            "requested_token_type": _TOKEN_TYPE,
            "subject_token_type": "urn:ietf:params:aws:token-type:aws4_request",
            "subject_token": await self._signed_caller_identity(audience),
        }
        federated = await self._exchange(_require_https(url), form)
        impersonate = self.credentials.get("service_account_impersonation_url")
        return federated if impersonate is None else await self._impersonate(_require_https(impersonate), federated)

    async def _signed_caller_identity(self, audience: str) -> str:
        """A signed request for AWS's GetCallerIdentity, as text: Google sends it to learn the AWS role."""
        match self.credentials.get("credential_source"):
            case {"environment_id": "aws1", "regional_cred_verification_url": str(template)}:
                pass
            case _:
                raise _unusable_credentials("its credential_source is not AWS")
        if self.aws is None:
            raise _unusable_credentials("this process has no AWS credentials")
        url = _require_https(template.replace("{region}", self.aws.region))
        headers = {"x-goog-cloud-target-resource": audience}
        scope = SigningScope("sts", self.aws.region)
        signed = sign("POST", url, headers, b"", await self.aws.aws_keys(), scope, at=self.clock())
        signed["host"] = urlsplit(url).netloc
        header_list = [{"key": name, "value": value} for name, value in signed.items()]
        return quote(encode({"url": url, "method": "POST", "headers": header_list}), safe="")

    async def _impersonate(self, url: str, federated: GoogleToken) -> GoogleToken:
        headers = {"content-type": "application/json", "authorization": f"Bearer {federated.value}"}
        response = await self._post(url, headers, encode({"scope": [_OAUTH_SCOPE], "lifetime": "3600s"}))
        match response:
            case {"accessToken": str(value), "expireTime": str(expiry)}:
                return GoogleToken(value, _parse_expiry(expiry))
            case _:
                raise ProviderMalformed("The response of Google has no access token.")

    async def _exchange(self, url: str, form: dict[str, str]) -> GoogleToken:
        response = await self._post(url, {"content-type": _FORM}, urlencode(form).encode())
        match response:
            case {"access_token": str(value), "expires_in": int() | float() as seconds}:
                return GoogleToken(value, self.clock() + seconds)
            case _:
                raise ProviderMalformed("The response of Google has no access token.")

    async def _post(self, url: str, headers: dict[str, str], body: bytes) -> Json:
        async with self.transport.open(HttpRequest("POST", url, headers, body), _TIMEOUTS) as response:
            status, content = response.status, await response.read(_MAX_BODY_BYTES)
        parsed = _decode_json(content)
        if status >= 500:
            message = f"Google issues no access tokens at the moment (HTTP {status})."
            raise ProviderOverloaded(message, upstream_status=status)
        if status != 200:
            raise ProviderAuth(f"Google refused the gateway's credentials: {_error_name(parsed)} (HTTP {status}).")
        return parsed


class GoogleSecrets(Redacted, Struct):
    """The port `Secrets` over `inner`, in which credentials of Vertex AI are replaced by a valid access token.

    `VERTEX_API_KEY` holds an API key, a token or the JSON of credentials; without it, `GOOGLE_VERTEX_CREDENTIALS` holds
    the JSON.
    """

    inner: Secrets
    transport: Transport
    aws: AwsRole | None = None
    clock: Callable[[], float] = time.time
    _credentials_json: str = ""
    _tokens: GoogleAccessTokens | None = None

    def cached(self, name: str) -> str | None:
        """See `Secrets.cached`."""
        return None if name == TOKEN_SETTING else self.inner.cached(name)

    async def get(self, name: str) -> str | None:
        """See `Secrets.get`. For the key of Vertex AI, also raises the errors of `GoogleAccessTokens.token`."""
        value = await self.inner.get(name)
        if name != TOKEN_SETTING:
            return value
        setting = value or await self.inner.get(CREDENTIALS_SETTING) or ""
        return AccessToken(await self._tokens_for(setting).token()) if setting.lstrip().startswith("{") else value

    def _tokens_for(self, credentials_json: str) -> GoogleAccessTokens:
        if self._tokens is None or credentials_json != self._credentials_json:
            parsed = _decode_json(credentials_json.encode())
            if not isinstance(parsed, dict):
                raise _unusable_credentials("it is not JSON")
            self._credentials_json = credentials_json
            self._tokens = GoogleAccessTokens(parsed, self.transport, self.aws, self.clock)
        return self._tokens


def _require_https(url: Json) -> str:
    if not isinstance(url, str) or not url.startswith("https://"):
        raise _unusable_credentials("its URLs must begin with https://")
    return url


def _parse_expiry(text: str) -> float:
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        raise ProviderMalformed("The access token of Google has no valid expiry time.") from None


def _decode_json(data: bytes) -> Json:
    try:
        return decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _error_name(body: Json) -> str:
    """The name of Google's error, without its description, which may name the account."""
    match body:
        case {"error": str(name)} | {"error": {"status": str(name)}}:
            return name[:100]
        case _:
            return "no reason given"


def _unusable_credentials(reason: str) -> NotConfigured:
    reason = reason.removesuffix(".")
    return NotConfigured(f"{CREDENTIALS_SETTING} cannot be used: {reason[:1].lower()}{reason[1:]}.", param="model")
