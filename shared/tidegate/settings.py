"""The only reader of the environment. One error names every setting that is missing or malformed.

| variable | meaning | default |
|---|---|---|
| TIDEGATE_TABLE | the DynamoDB table | required on AWS |
| TIDEGATE_PROVIDER_SECRET | a secret (name or ARN) whose JSON holds `<PROVIDER>_API_KEY` and other credentials | none |
| TIDEGATE_WORKSPACE_SECRETS | prefix of workspaces' own keys in Secrets Manager: `<prefix>/<workspace id>` | none |
| TIDEGATE_WORKSPACE_SECRETS_KEY | the KMS key (ARN) of the secrets that are created there | AWS's own |
| TIDEGATE_PROVIDERS | additional OpenAI-compatible providers, models and prices, a JSON list: docs/MODELS.md | none |
| TIDEGATE_ROUTES | model names that stand for several deployments, a JSON list: docs/ROUTES.md | none |
| TIDEGATE_GUARDRAILS | guardrails in addition to the built-in ones, a JSON list: docs/GUARDRAILS.md | none |
| TIDEGATE_ALLOWED_PRICE_FIELDS | fields that are sent although their price is unknown: docs/PROVIDERS.md | none |
| TIDEGATE_DEFAULT_PROVIDER | the provider of model names without a provider that the catalogue does not know | none |
| TIDEGATE_TIMEOUT_SECONDS | the longest duration of a call | 600 |
| TIDEGATE_TIMEOUTS | timeouts by provider and model, a JSON object: docs/DEADLINES.md | see docs/DEADLINES.md |
| TIDEGATE_KEEP_ALIVE_SECONDS | silence in a stream before a comment line is sent | 15 |
| TIDEGATE_MAX_BODY_BYTES | the largest request body | 10485760 |
| TIDEGATE_OIDC_ISSUER | the issuer whose access tokens are accepted beside keys: an https URL | none |
| TIDEGATE_OIDC_AUDIENCE | the audience that its tokens must have | required with an issuer |
| TIDEGATE_OIDC_JWKS_URL | the URL of its signing keys | from its discovery document |
| TIDEGATE_OIDC_WORKSPACES_CLAIM | the claim with a token's workspaces, an id or a list | the operator assigns them |
| TIDEGATE_OIDC_CLIENT_ID | the dashboard's client at the issuer: docs/OBSERVABILITY.md | none: it takes keys only |
| TIDEGATE_OIDC_SCOPES | the scopes that the dashboard asks for, separated by spaces | openid |
| TIDEGATE_API_URL | the callers' API, for a dashboard on another host: docs/OBSERVABILITY.md | the dashboard's host |
| TIDEGATE_CORS_ORIGINS | allowed browser origins, separated by commas; "*" allows all | none |
| TIDEGATE_SHOW_UPSTREAM_URLS | true: dry runs show callers the URLs of providers | false |
| TIDEGATE_KEEP_REASONING | false: signed reasoning is not kept between turns: docs/REASONING.md | true |
| TIDEGATE_TRACES | off: no call's content is kept, whoever asks for it: docs/OBSERVABILITY.md | on |
| TIDEGATE_RESPONSE_STATE | off: no response of /v1/responses is kept, and none can be gone on from | on |
| TIDEGATE_TRACE_KEY | the KMS key (ARN) that wraps the keys of traces and responses | none: they are in the table |
| TIDEGATE_TRANSPORT | httptools, pyreqwest, aiohttp or httpx | httptools |
| TIDEGATE_EVENT_BUS | the EventBridge bus that receives budget alerts | none: alerts are logged |
| TIDEGATE_REPLY_BUCKET | the S3 bucket for stored replies that do not fit in an item | none: they are not stored |
| TIDEGATE_BATCH_BUCKET | the S3 bucket of files and batches | none: there are no batches |
| TIDEGATE_BATCH_QUEUE | the URL of the SQS queue for the steps of batches | required with a bucket |
| TIDEGATE_REPLY_QUEUE | URLs or ARNs of SQS queues for answers to single messages, separated by commas | none |
| TIDEGATE_BATCH_OPTIONS | options of batches, such as rates, a JSON object: docs/BATCH.md | see docs/BATCH.md |
| TIDEGATE_LOG_LEVEL | DEBUG, INFO, WARNING, ERROR | INFO |
| TIDEGATE_METRICS | emf: log lines of calls have metrics for CloudWatch: docs/OBSERVABILITY.md | none |
| TIDEGATE_METRICS_NAMESPACE | their namespace; the template's is tidegate/<stack> | tidegate |
| TIDEGATE_OTLP_ENDPOINT | the base URL of an OpenTelemetry collector: docs/OBSERVABILITY.md | none: nothing is sent |
| TIDEGATE_OTLP_SIGNALS | what is sent there: traces, metrics, or traces,metrics | traces |
| OTEL_SERVICE_NAME | the gateway's name in what is sent there | tidegate |
| AWS_REGION, AWS_ENDPOINT_URL, AWS_ENDPOINT_URL_DYNAMODB, …_S3, …_SECRETS_MANAGER, …_SQS, …_KMS | as in the SDKs | |
"""

import math
import os
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
from tidegate.json import Json, JsonObject, decode
from tidegate.lazy import late_pattern, load
from tidegate.policy.guardrails.selection import parse_operator_guardrails
from tidegate.providers.compatible_row import Row

_HTTPS_OR_LOOPBACK = late_pattern(r"https://[^/\s]|http://(127\.0\.0\.1|localhost|\[::1\])[:/]")

_BASE_URL = late_pattern(r"https?://[^/\s?#@]+(/[^\s?#]*)?")

_Number = TypeVar("_Number", int, float)
_Parsed = TypeVar("_Parsed")


def _parse_rows(value: Json) -> tuple[Row, ...]:
    return load("tidegate.providers.operator_rows", "parse_rows")(value)


def _parse_routes(value: Json) -> tuple[Route, ...]:
    return load("tidegate.policy.routing.route_config", "parse_operator_routes")(value)


def _parse_allowed_price_fields(text: str) -> frozenset[str]:
    return load("tidegate.providers.price_fields", "parse_allowed")(text)


def _parse_batch_options(value: Json) -> JsonObject:
    """Return the options as they are, once they are checked: few processes need their module."""
    load("tidegate.domain.batch_options", "parse_batch_options")(value)
    return value if isinstance(value, dict) else {}


class EnvironmentSecrets(Redacted, Struct, frozen=True):
    """Implements `Secrets` with environment variables. An empty variable counts as not set."""

    values: Mapping[str, str]

    def cached(self, name: str) -> str | None:
        return self.values.get(name, "").strip() or None

    async def get(self, name: str) -> str | None:
        return self.cached(name)


class AwsSettings(Struct, frozen=True):
    """Region and endpoints of AWS's services; None is AWS's own endpoint."""

    region: str
    dynamodb_endpoint: str | None = None
    secrets_endpoint: str | None = None
    events_endpoint: str | None = None
    s3_endpoint: str | None = None
    sqs_endpoint: str | None = None
    kms_endpoint: str | None = None


class Settings(Redacted, Struct, frozen=True):
    """The operator's configuration. `environment` holds the settings of providers, which are looked up by name."""

    table: str
    aws: AwsSettings
    provider_secret: str | None = None
    workspace_secrets: str | None = None
    workspace_secrets_key: str | None = None
    providers: tuple[Row, ...] = ()
    routes: tuple[Route, ...] = ()
    guardrails: tuple[Guardrail, ...] = ()
    allowed_price_fields: frozenset[str] = frozenset()
    default_provider: str | None = None
    timeout_seconds: float = 600.0
    timeout_rules: TimeoutRules = field(default_factory=TimeoutRules)
    keep_alive_seconds: float = 15.0
    max_body_bytes: int = 10 * 1024 * 1024
    cors_origins: tuple[str, ...] = ()
    shows_upstream_urls: bool = False
    keeps_reasoning: bool = True
    keeps_traces: bool = True
    keeps_responses: bool = True
    trace_key: str | None = None
    transport: str = "httptools"
    event_bus: str | None = None
    reply_bucket: str | None = None
    batch_bucket: str | None = None
    batch_queue: str | None = None
    reply_queues: tuple[str, ...] = ()
    batch_options: JsonObject = field(default_factory=JsonObject)
    log_level: str = "INFO"
    metrics_namespace: str | None = None
    otlp_endpoint: str | None = None
    otlp_signals: tuple[str, ...] = ("traces",)
    service_name: str = "tidegate"
    oidc: OidcIssuer | None = None
    api_url: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict[str, str])

    @classmethod
    def from_env(cls, env: Mapping[str, str] = os.environ, *, table: str | None = None) -> "Settings":
        """Read the settings; TIDEGATE_TABLE defaults to `table`. Raises `ConfigurationError`, naming every fault."""
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
                sqs_endpoint=reader.text("AWS_ENDPOINT_URL_SQS") or endpoint,
                kms_endpoint=reader.text("AWS_ENDPOINT_URL_KMS") or endpoint,
            ),
            provider_secret=reader.text("TIDEGATE_PROVIDER_SECRET"),
            workspace_secrets=reader.text("TIDEGATE_WORKSPACE_SECRETS"),
            workspace_secrets_key=reader.text("TIDEGATE_WORKSPACE_SECRETS_KEY"),
            providers=reader.json("TIDEGATE_PROVIDERS", _parse_rows, ()),
            routes=reader.json("TIDEGATE_ROUTES", _parse_routes, ()),
            guardrails=reader.json("TIDEGATE_GUARDRAILS", parse_operator_guardrails, ()),
            allowed_price_fields=reader.parsed(
                "TIDEGATE_ALLOWED_PRICE_FIELDS", _parse_allowed_price_fields, frozenset()
            ),
            default_provider=reader.text("TIDEGATE_DEFAULT_PROVIDER"),
            timeout_seconds=reader.number("TIDEGATE_TIMEOUT_SECONDS", float, 600.0),
            timeout_rules=reader.json("TIDEGATE_TIMEOUTS", parse_timeout_rules, TimeoutRules()),
            keep_alive_seconds=reader.number("TIDEGATE_KEEP_ALIVE_SECONDS", float, 15.0),
            max_body_bytes=reader.number("TIDEGATE_MAX_BODY_BYTES", int, 10 * 1024 * 1024),
            cors_origins=reader.items("TIDEGATE_CORS_ORIGINS"),
            shows_upstream_urls=reader.choice("TIDEGATE_SHOW_UPSTREAM_URLS", ("false", "true")) == "true",
            keeps_reasoning=reader.choice("TIDEGATE_KEEP_REASONING", ("true", "false")) == "true",
            keeps_traces=reader.choice("TIDEGATE_TRACES", ("on", "off")) == "on",
            keeps_responses=reader.choice("TIDEGATE_RESPONSE_STATE", ("on", "off")) == "on",
            trace_key=reader.text("TIDEGATE_TRACE_KEY"),
            event_bus=reader.text("TIDEGATE_EVENT_BUS"),
            reply_bucket=reader.text("TIDEGATE_REPLY_BUCKET"),
            batch_bucket=reader.text("TIDEGATE_BATCH_BUCKET"),
            batch_queue=reader.batch_queue(),
            reply_queues=reader.items("TIDEGATE_REPLY_QUEUE"),
            batch_options=reader.json("TIDEGATE_BATCH_OPTIONS", _parse_batch_options, JsonObject()),
            transport=reader.choice("TIDEGATE_TRANSPORT", ("httptools", "pyreqwest", "aiohttp", "httpx")),
            oidc=reader.issuer(),
            api_url=reader.https_url("TIDEGATE_API_URL"),
            log_level=reader.choice("TIDEGATE_LOG_LEVEL", ("INFO", "DEBUG", "WARNING", "ERROR")),
            metrics_namespace=reader.metrics_namespace(),
            otlp_endpoint=reader.otlp_endpoint(),
            otlp_signals=tuple(
                reader.choice("TIDEGATE_OTLP_SIGNALS", ("traces", "traces,metrics", "metrics")).split(",")
            ),
            service_name=reader.text("OTEL_SERVICE_NAME") or "tidegate",
            environment=dict(env),
        )
        reader.check()
        return settings

    def server_options(self) -> ServerOptions:
        return ServerOptions(self.max_body_bytes, self.keep_alive_seconds, self.cors_origins)


class _EnvironmentReader:
    """Reads variables and collects the faults of all of them, which `check` raises as one error."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self._env = env
        self._faults: list[str] = []

    def text(self, name: str) -> str | None:
        return self._env.get(name, "").strip() or None

    def items(self, name: str) -> tuple[str, ...]:
        """The setting's parts between commas."""
        return tuple(item.strip() for item in self._env.get(name, "").split(",") if item.strip())

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
            self._faults.append(f"{name} is not a {'whole ' if convert is int else ''}number: {text!r}")
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
        """The setting's JSON, decoded and passed to `parse`."""
        return self.parsed(name, lambda text: parse(decode(text)), default)

    def parsed(self, name: str, parse: Callable[[str], _Parsed], default: _Parsed) -> _Parsed:
        """The setting, passed to `parse`, which may raise `ConfigurationError`."""
        text = self.text(name)
        if text is None:
            return default
        try:
            return parse(text)
        except msgspec.DecodeError as error:
            self._faults.append(f"{name} is not valid JSON: {error}")
        except ConfigurationError as error:
            self._faults.append(error.message.rstrip("."))
        return default

    def issuer(self) -> OidcIssuer | None:
        url, audience = self.https_url("TIDEGATE_OIDC_ISSUER"), self.text("TIDEGATE_OIDC_AUDIENCE")
        jwks_url, claim = self.https_url("TIDEGATE_OIDC_JWKS_URL"), self.text("TIDEGATE_OIDC_WORKSPACES_CLAIM")
        client_id, scopes = self.text("TIDEGATE_OIDC_CLIENT_ID"), self.text("TIDEGATE_OIDC_SCOPES") or "openid"
        if not any((url, audience, jwks_url, claim, client_id)):
            return None
        url, audience = url or self.missing("TIDEGATE_OIDC_ISSUER"), audience or self.missing("TIDEGATE_OIDC_AUDIENCE")
        return OidcIssuer(url, audience, jwks_url, claim, client_id, scopes)

    def metrics_namespace(self) -> str | None:
        """Return the namespace of metrics, None if there are none."""
        has_metrics = self.choice("TIDEGATE_METRICS", ("none", "emf")) == "emf"
        return (self.text("TIDEGATE_METRICS_NAMESPACE") or "tidegate") if has_metrics else None

    def batch_queue(self) -> str | None:
        queue = self.text("TIDEGATE_BATCH_QUEUE")
        return queue or (self.missing("TIDEGATE_BATCH_QUEUE") if self.text("TIDEGATE_BATCH_BUCKET") else None)

    def https_url(self, name: str) -> str | None:
        """A URL that cannot be answered by an impostor: https, or plain http on the loopback interface."""
        url = self.text(name)
        if url is not None and not _HTTPS_OR_LOOPBACK.match(url):
            self._faults.append(f"{name} must be an https URL")
        return url

    def otlp_endpoint(self) -> str | None:
        """A base URL, also of plain http: a collector is often beside the gateway, in a network of its own."""
        url = self.text("TIDEGATE_OTLP_ENDPOINT")
        if url is not None and not _BASE_URL.fullmatch(url):
            self._faults.append("TIDEGATE_OTLP_ENDPOINT must be an http or https URL without user, query and fragment")
        return url

    def check(self) -> None:
        if self._faults:
            raise ConfigurationError("; ".join(self._faults) + ".")
