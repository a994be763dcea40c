"""The only reader of the environment. All that is missing or malformed is named at once.

| variable | meaning | default |
|---|---|---|
| TIDEGATE_TABLE | the DynamoDB table | required on AWS |
| TIDEGATE_PROVIDER_SECRET | a secret (name or ARN) whose JSON holds `<PROVIDER>_API_KEY` and the like | none |
| TIDEGATE_WORKSPACE_SECRETS | where workspaces' own keys are: `<this>/<workspace id>` in Secrets Manager | none |
| TIDEGATE_PROVIDERS | more OpenAI-compatible providers, a JSON list of `{name, base_url, key, quirks}` | none |
| TIDEGATE_ROUTES | names that stand for several deployments, a JSON list: docs/ROUTES.md | none |
| TIDEGATE_GUARDRAILS | guardrails beside the built-in ones, a JSON list as in docs/GUARDRAILS.md | none |
| TIDEGATE_DEFAULT_PROVIDER | who answers for bare model ids that the catalogue does not know | none |
| TIDEGATE_TIMEOUT_SECONDS | the longest that a call may take | 600 |
| TIDEGATE_TIMEOUTS | how long providers and models are waited for, a JSON object: docs/DEADLINES.md | as usual |
| TIDEGATE_KEEP_ALIVE_SECONDS | silence in a stream before a comment line | 15 |
| TIDEGATE_MAX_BODY_BYTES | the largest request body | 10485760 |
| TIDEGATE_OIDC_ISSUER | the issuer whose access tokens open workspaces, beside keys: an https URL | none |
| TIDEGATE_OIDC_AUDIENCE | whom its tokens must be for | required with an issuer |
| TIDEGATE_OIDC_JWKS_URL | where its keys are | what its discovery document says |
| TIDEGATE_OIDC_WORKSPACES_CLAIM | the claim with a token's workspaces: an id or a list | what its subject was given |
| TIDEGATE_CORS_ORIGINS | browser origins, separated by commas; "*" any, empty none | * |
| TIDEGATE_TRANSPORT | pyreqwest, aiohttp or httpx | pyreqwest; aiohttp for `serve` |
| TIDEGATE_EVENT_BUS | the EventBridge bus that is told of budgets running out | none: a line in the log |
| TIDEGATE_REPLY_BUCKET | where kept replies are that are larger than an item: a bucket of S3 | none: not kept |
| TIDEGATE_LOG_LEVEL | DEBUG, INFO, WARNING, ERROR | INFO |
| AWS_REGION, AWS_ENDPOINT_URL, AWS_ENDPOINT_URL_DYNAMODB, …_S3, …_SECRETS_MANAGER | as everywhere on AWS | |
"""

import math
import os
import re
from collections.abc import Callable, Mapping
from typing import TypeVar

import msgspec
from msgspec import Struct, field

from tidegate.domain.guardrails import Guardrail
from tidegate.domain.identity import OidcIssuer
from tidegate.domain.redacted import Redacted
from tidegate.domain.routes import Route
from tidegate.domain.server_options import ServerOptions
from tidegate.domain.timeouts import TimeoutRules, parse_timeout_rules
from tidegate.errors import ConfigurationError
from tidegate.json import Json, decode
from tidegate.policy.guardrails.selection import parse_operator_guardrails
from tidegate.policy.routing.route_config import parse_operator_routes
from tidegate.providers.compatible_row import Row
from tidegate.providers.operator_rows import parse_rows

_HTTPS_OR_LOOPBACK = re.compile(r"https://[^/\s]|http://(127\.0\.0\.1|localhost|\[::1\])[:/]")

_Number = TypeVar("_Number", int, float)
_Parsed = TypeVar("_Parsed")


class EnvironmentSecrets(Redacted, Struct, frozen=True):
    """The port `Secrets` on the environment. A name that is set to nothing is not set."""

    values: Mapping[str, str]

    async def get(self, name: str) -> str | None:
        return self.values.get(name, "").strip() or None


class AwsSettings(Struct, frozen=True):
    """Where AWS is. The endpoints are None for AWS's own."""

    region: str
    dynamodb_endpoint: str | None = None
    secrets_endpoint: str | None = None
    events_endpoint: str | None = None
    s3_endpoint: str | None = None


class Settings(Redacted, Struct, frozen=True):
    """What the operator decided. `environment` is kept for provider settings, which are looked up by their names."""

    table: str
    aws: AwsSettings
    provider_secret: str | None = None
    workspace_secrets: str | None = None
    providers: tuple[Row, ...] = ()
    routes: tuple[Route, ...] = ()
    guardrails: tuple[Guardrail, ...] = ()
    default_provider: str | None = None
    timeout_seconds: float = 600.0
    timeout_rules: TimeoutRules = field(default_factory=TimeoutRules)
    keep_alive_seconds: float = 15.0
    max_body_bytes: int = 10 * 1024 * 1024
    cors_origins: tuple[str, ...] = ("*",)
    transport: str = "pyreqwest"
    event_bus: str | None = None
    reply_bucket: str | None = None
    log_level: str = "INFO"
    oidc: OidcIssuer | None = None
    environment: Mapping[str, str] = field(default_factory=dict[str, str])

    @classmethod
    def from_env(cls, env: Mapping[str, str] = os.environ, *, table: str | None = None) -> "Settings":
        """The settings in `env`; `table` stands in for TIDEGATE_TABLE. Raises `ConfigurationError` of all faults."""
        reader = _EnvironmentReader(env)
        endpoint = reader.text("AWS_ENDPOINT_URL")
        settings = cls(
            table=reader.text("TIDEGATE_TABLE") or table or reader.missing("TIDEGATE_TABLE"),
            aws=AwsSettings(
                region=reader.text("AWS_REGION") or reader.text("AWS_DEFAULT_REGION") or reader.missing("AWS_REGION"),
                dynamodb_endpoint=reader.text("AWS_ENDPOINT_URL_DYNAMODB") or endpoint,
                secrets_endpoint=reader.text("AWS_ENDPOINT_URL_SECRETS_MANAGER") or endpoint,
                events_endpoint=reader.text("AWS_ENDPOINT_URL_EVENTBRIDGE") or endpoint,
                s3_endpoint=reader.text("AWS_ENDPOINT_URL_S3") or endpoint,
            ),
            provider_secret=reader.text("TIDEGATE_PROVIDER_SECRET"),
            workspace_secrets=reader.text("TIDEGATE_WORKSPACE_SECRETS"),
            providers=reader.json("TIDEGATE_PROVIDERS", parse_rows, ()),
            routes=reader.json("TIDEGATE_ROUTES", parse_operator_routes, ()),
            guardrails=reader.json("TIDEGATE_GUARDRAILS", parse_operator_guardrails, ()),
            default_provider=reader.text("TIDEGATE_DEFAULT_PROVIDER"),
            timeout_seconds=reader.number("TIDEGATE_TIMEOUT_SECONDS", float, 600.0),
            timeout_rules=reader.json("TIDEGATE_TIMEOUTS", parse_timeout_rules, TimeoutRules()),
            keep_alive_seconds=reader.number("TIDEGATE_KEEP_ALIVE_SECONDS", float, 15.0),
            max_body_bytes=reader.number("TIDEGATE_MAX_BODY_BYTES", int, 10 * 1024 * 1024),
            cors_origins=tuple(o.strip() for o in env.get("TIDEGATE_CORS_ORIGINS", "*").split(",") if o.strip()),
            event_bus=reader.text("TIDEGATE_EVENT_BUS"),
            reply_bucket=reader.text("TIDEGATE_REPLY_BUCKET"),
            transport=reader.choice("TIDEGATE_TRANSPORT", ("pyreqwest", "aiohttp", "httpx")),
            oidc=reader.issuer(),
            log_level=reader.choice("TIDEGATE_LOG_LEVEL", ("INFO", "DEBUG", "WARNING", "ERROR")),
            environment=dict(env),
        )
        reader.check()
        return settings

    def server_options(self) -> ServerOptions:
        return ServerOptions(self.max_body_bytes, self.keep_alive_seconds, self.cors_origins)


class _EnvironmentReader:
    def __init__(self, env: Mapping[str, str]) -> None:
        self._env = env
        self._faults: list[str] = []

    def text(self, name: str) -> str | None:
        return self._env.get(name, "").strip() or None

    def missing(self, name: str) -> str:
        self._faults.append(f"{name} is not set")
        return ""

    def number(self, name: str, convert: Callable[[str], _Number], default: _Number) -> _Number:
        text = self.text(name)
        if text is None:
            return default
        try:
            value = convert(text)
        except ValueError:
            self._faults.append(f"{name} is not a number: {text!r}")
            return default
        if not 0 < value < math.inf:
            self._faults.append(f"{name} must be {'finite' if value > 0 else 'positive'}: {text!r}")
        return value

    def choice(self, name: str, choices: tuple[str, ...]) -> str:
        value = self.text(name) or choices[0]
        if value not in choices:
            self._faults.append(f"{name} must be one of {', '.join(choices)}: {value!r}")
        return value

    def json(self, name: str, parse: Callable[[Json], _Parsed], default: _Parsed) -> _Parsed:
        """What `read` makes of the setting's JSON."""
        text = self.text(name)
        if text is None:
            return default
        try:
            return parse(decode(text))
        except msgspec.DecodeError as error:
            self._faults.append(f"{name} is not valid JSON: {error}")
        except ConfigurationError as error:
            self._faults.append(error.message.rstrip("."))
        return default

    def issuer(self) -> OidcIssuer | None:
        url, audience = self.https_url("TIDEGATE_OIDC_ISSUER"), self.text("TIDEGATE_OIDC_AUDIENCE")
        jwks_url, claim = self.https_url("TIDEGATE_OIDC_JWKS_URL"), self.text("TIDEGATE_OIDC_WORKSPACES_CLAIM")
        if not any((url, audience, jwks_url, claim)):
            return None
        return OidcIssuer(
            url or self.missing("TIDEGATE_OIDC_ISSUER"),
            audience or self.missing("TIDEGATE_OIDC_AUDIENCE"),
            jwks_url,
            claim,
        )

    def https_url(self, name: str) -> str | None:
        """A URL that nobody on the way can answer for; on this machine there is nobody on the way."""
        url = self.text(name)
        if url is not None and not _HTTPS_OR_LOOPBACK.match(url):
            self._faults.append(f"{name} must be an https URL: {url!r}")
        return url

    def check(self) -> None:
        if self._faults:
            raise ConfigurationError("; ".join(self._faults) + ".")
