"""The environment, read once, with all its faults named at once."""

import re

import pytest

from tidegate.domain.batch_options import BatchOptions, parse_batch_options
from tidegate.domain.guardrails import Guardrail
from tidegate.domain.routes import Route, RouteTarget
from tidegate.domain.server_options import ServerOptions
from tidegate.domain.timeouts import ProviderTimeouts
from tidegate.errors import ConfigurationError
from tidegate.settings import AwsSettings, EnvironmentSecrets, Settings

NEEDED = {"TIDEGATE_TABLE": "t", "AWS_REGION": "eu-central-1"}


def test_the_least_that_is_needed() -> None:
    settings = Settings.from_env(NEEDED)
    assert (settings.table, settings.aws, settings.transport) == ("t", AwsSettings("eu-central-1"), "httptools")
    assert settings.metrics_namespace is None
    assert settings.server_options() == ServerOptions(10 * 1024 * 1024, 15.0, ())


def test_traces_are_kept_unless_they_are_switched_off() -> None:
    assert Settings.from_env(NEEDED).keeps_traces


def test_everything_that_can_be_set() -> None:
    settings = Settings.from_env(
        {
            **NEEDED,
            "AWS_ENDPOINT_URL": "http://all",
            "AWS_ENDPOINT_URL_DYNAMODB": "http://dynamodb",
            "AWS_ENDPOINT_URL_S3": "http://s3",
            "AWS_ENDPOINT_URL_SQS": "http://sqs",
            "AWS_ENDPOINT_URL_KMS": "http://kms",
            "TIDEGATE_REPLY_BUCKET": "replies",
            "TIDEGATE_BATCH_BUCKET": "batches",
            "TIDEGATE_BATCH_QUEUE": "http://sqs/1/steps",
            "TIDEGATE_REPLY_QUEUE": "http://sqs/1/answers, http://sqs/1/others",
            "TIDEGATE_BATCH_OPTIONS": '{"share": 0.25, "rates": {"openai": {"requests_per_minute": 500}}}',
            "TIDEGATE_PROVIDER_SECRET": "secret",
            "TIDEGATE_DEFAULT_PROVIDER": "vllm",
            "TIDEGATE_TIMEOUT_SECONDS": "30",
            "TIDEGATE_KEEP_ALIVE_SECONDS": "5",
            "TIDEGATE_MAX_BODY_BYTES": "1000",
            "TIDEGATE_CORS_ORIGINS": "https://a.example, https://b.example",
            "TIDEGATE_TRANSPORT": "httpx",
            "TIDEGATE_LOG_LEVEL": "ERROR",
            "TIDEGATE_METRICS": "emf",
            "TIDEGATE_API_URL": "https://abc.example/live",
            "TIDEGATE_OTLP_ENDPOINT": "http://collector:4318",
            "TIDEGATE_OTLP_SIGNALS": "traces,metrics",
            "OTEL_SERVICE_NAME": "tidegate-prod",
            "TIDEGATE_TRACES": "off",
            "TIDEGATE_RESPONSE_STATE": "off",
            "TIDEGATE_TRACE_KEY": "arn:aws:kms:eu-central-1:123456789012:key/1",
        }
    )
    assert settings.aws == AwsSettings(
        "eu-central-1", "http://dynamodb", "http://all", "http://all", "http://s3", "http://sqs", "http://kms"
    )
    assert (settings.provider_secret, settings.default_provider, settings.timeout_seconds) == ("secret", "vllm", 30.0)
    assert settings.server_options() == ServerOptions(1000, 5.0, ("https://a.example", "https://b.example"))
    assert (settings.transport, settings.log_level, settings.metrics_namespace) == ("httpx", "ERROR", "tidegate")
    assert (settings.reply_bucket, settings.api_url) == ("replies", "https://abc.example/live")
    assert (settings.batch_bucket, settings.batch_queue) == ("batches", "http://sqs/1/steps")
    assert (settings.keeps_traces, settings.keeps_responses) == (False, False)
    assert settings.trace_key == "arn:aws:kms:eu-central-1:123456789012:key/1"
    assert (settings.otlp_endpoint, settings.otlp_signals) == ("http://collector:4318", ("traces", "metrics"))
    assert settings.service_name == "tidegate-prod"
    assert settings.reply_queues == ("http://sqs/1/answers", "http://sqs/1/others")
    options = BatchOptions(share=0.25, rates={"openai": (500, None)})
    assert parse_batch_options(settings.batch_options) == options


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("[]", "is not valid: Expected `object`, got `array`"),
        ('{"chair": 1}', "is not valid: Object contains unknown field `chair`"),
        ('{"part_lines": 0}', "is not valid: all numbers must be positive"),
        ('{"rates": {"openai": {"tokens_per_minute": -1}}}', "is not valid: all numbers must be positive"),
        (
            '{"rates": {"openai": {"per_hour": 1}}}',
            "is not valid: Object contains unknown field `per_hour` - at `$[...]`",
        ),
        ('{"rates": {"openai": 5}}', "is not valid: Expected `object`, got `int` - at `$[...]`"),
        ('{"rates": [5]}', "is not valid: Expected `object`, got `array`"),
        ('{"share": 1.5}', "is not valid: `share` is at most 1"),
    ],
)
def test_options_of_batches_are_checked(text: str, fault: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(f"TIDEGATE_BATCH_OPTIONS {fault}.")):
        Settings.from_env({**NEEDED, "TIDEGATE_BATCH_OPTIONS": text})


def test_a_bucket_of_batches_needs_a_queue() -> None:
    with pytest.raises(ConfigurationError, match=r"^TIDEGATE_BATCH_QUEUE is not set\.$"):
        Settings.from_env({**NEEDED, "TIDEGATE_BATCH_BUCKET": "batches"})


@pytest.mark.parametrize(
    "url",
    ["collector:4318", "ftp://collector", "https://", "https://user@collector", "https://c/?key=1", "https://c /"],
)
def test_the_endpoint_of_a_collector_is_a_base_url(url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^TIDEGATE_OTLP_ENDPOINT must be an http or https URL without user"):
        Settings.from_env({**NEEDED, "TIDEGATE_OTLP_ENDPOINT": url})


def test_all_faults_are_named_at_once() -> None:
    with pytest.raises(ConfigurationError) as caught:
        Settings.from_env(
            {"TIDEGATE_TIMEOUT_SECONDS": "soon", "TIDEGATE_MAX_BODY_BYTES": "-1", "TIDEGATE_TRANSPORT": "pigeon"}
        )
    assert caught.value.message == (
        "TIDEGATE_TABLE is not set; AWS_REGION is not set; TIDEGATE_TIMEOUT_SECONDS is not a number: 'soon'; "
        "TIDEGATE_MAX_BODY_BYTES must be positive: '-1'; "
        "TIDEGATE_TRANSPORT must be one of httptools, pyreqwest, aiohttp, httpx: 'pigeon'."
    )


@pytest.mark.parametrize(("text", "fault"), [("inf", "finite"), ("nan", "positive"), ("0", "positive")])
def test_a_number_without_an_end_is_a_fault(text: str, fault: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Settings.from_env({"TIDEGATE_TABLE": "t", "AWS_REGION": "r", "TIDEGATE_TIMEOUT_SECONDS": text})
    assert caught.value.message == f"TIDEGATE_TIMEOUT_SECONDS must be {fault}: {text!r}."


@pytest.mark.parametrize("text", ["1.5", "1e6", "10 MB", "nan", "inf"])
def test_a_number_of_bytes_is_a_whole_number(text: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Settings.from_env({**NEEDED, "TIDEGATE_MAX_BODY_BYTES": text})
    assert caught.value.message == f"TIDEGATE_MAX_BODY_BYTES is not a whole number: {text!r}."


def test_providers_of_the_operators_own_are_rows_or_faults() -> None:
    own = '[{"name": "mine", "base_url": "https://mine.test/v1"}]'
    assert [row.name for row in Settings.from_env({**NEEDED, "TIDEGATE_PROVIDERS": own}).providers] == ["mine"]
    for text, fault in (("[{", "TIDEGATE_PROVIDERS is not valid JSON"), ("[3]", "TIDEGATE_PROVIDERS[0]")):
        with pytest.raises(ConfigurationError) as caught:
            Settings.from_env({"TIDEGATE_PROVIDERS": text})
        assert caught.value.message.startswith("TIDEGATE_TABLE is not set; AWS_REGION is not set; " + fault)


def test_routes_are_read_or_faults() -> None:
    listed = '[{"name": "fast", "targets": [{"model": "openai/gpt-4o"}]}]'
    routes = Settings.from_env({**NEEDED, "TIDEGATE_ROUTES": listed}).routes
    assert routes == (Route("fast", (RouteTarget("openai/gpt-4o"),)),)
    for text, fault in (("[{", "TIDEGATE_ROUTES is not valid JSON"), ("[3]", "TIDEGATE_ROUTES[0]: Expected `object`")):
        with pytest.raises(ConfigurationError, match=re.escape(fault)):
            Settings.from_env({**NEEDED, "TIDEGATE_ROUTES": text})


def test_guardrails_are_read_or_faults() -> None:
    listed = '[{"name": "names", "kind": "words", "words": ["acme"], "always": true}]'
    guardrails = Settings.from_env({**NEEDED, "TIDEGATE_GUARDRAILS": listed}).guardrails
    assert guardrails == (Guardrail("names", "words", always=True, words=("acme",)),)
    for text, fault in (
        ("[{", "TIDEGATE_GUARDRAILS is not valid JSON"),
        ('[{"name": "g", "kind": "words"}]', "TIDEGATE_GUARDRAILS[0].words: There must be 1 to 2000 words."),
    ):
        with pytest.raises(ConfigurationError, match=re.escape(fault)):
            Settings.from_env({**NEEDED, "TIDEGATE_GUARDRAILS": text})


def test_no_origins_at_all_switch_browsers_off() -> None:
    assert Settings.from_env({**NEEDED, "TIDEGATE_CORS_ORIGINS": ""}).cors_origins == ()


async def test_a_secret_that_is_set_to_nothing_is_not_set() -> None:
    secrets = EnvironmentSecrets({"OPENAI_API_KEY": " a-key\n", "EMPTY": "  "})
    names = ("OPENAI_API_KEY", "EMPTY", "ABSENT")
    assert [await secrets.get(name) for name in names] == ["a-key", None, None]
    assert [secrets.cached(name) for name in names] == ["a-key", None, None]
    assert "a-key" not in repr(secrets)


def test_secrets_are_not_shown() -> None:
    assert "hush" not in repr(Settings.from_env({**NEEDED, "OPENAI_API_KEY": "hush"}))


def test_timeouts_are_a_timetable_or_faults_among_the_others() -> None:
    given = '{"*": {"between": 60}, "openai/o3*": {"total": 900}}'
    timetable = Settings.from_env({**NEEDED, "TIDEGATE_TIMEOUTS": given}).timeout_rules
    assert timetable.timeouts_for("openai/o3-pro") == ProviderTimeouts(between=60.0, total=900.0)
    for text, fault in (
        ("{", "TIDEGATE_TIMEOUTS is not valid JSON"),
        ('{"*": {"total": -1}}', "TIDEGATE_TIMEOUTS['*'] must have a positive number of seconds in 'total'."),
    ):
        with pytest.raises(ConfigurationError) as caught:
            Settings.from_env({"TIDEGATE_TIMEOUTS": text})
        assert caught.value.message.startswith("TIDEGATE_TABLE is not set; AWS_REGION is not set; " + fault)


def test_fields_that_change_the_price_are_allowed_by_their_names() -> None:
    allowed = {**NEEDED, "TIDEGATE_ALLOWED_PRICE_FIELDS": "service_tier, speed"}
    assert Settings.from_env(allowed).allowed_price_fields == {"service_tier", "speed"}
    with pytest.raises(ConfigurationError, match="TIDEGATE_ALLOWED_PRICE_FIELDS: 'tier' is not a field"):
        Settings.from_env({**NEEDED, "TIDEGATE_ALLOWED_PRICE_FIELDS": "tier"})
