"""What changes the price is in the price, or does not reach any provider and is reported."""

import json
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from tests.providers.calls import BASE_URL, asking, call
from tidegate.catalog import call_cost, load_catalog, price_options
from tidegate.domain.deployment import Deployment
from tidegate.domain.limits import NO_LIMITS, Limits
from tidegate.domain.usage import TokenCounts
from tidegate.errors import ConfigurationError, UnsupportedParameter
from tidegate.providers import Registry, chat_translator
from tidegate.providers.price_fields import MODEL_FIELDS, PRICE_FIELDS, PRICE_TOOLS, parse_allowed

PROVIDERS = sorted(spec.name for spec in Registry().specs() if spec.chats)
UNUSUAL = "zebra"
ONE_MODEL = Limits(models=("*",))
REGISTRY = Registry()


def nested(path: str, value: Any) -> dict[str, Any]:
    for name in reversed(path.replace("*", "openai").split(".")):
        value = {name: value}
    return value


def sent(
    provider: str,
    fields: dict[str, Any],
    workspace: Limits = NO_LIMITS,
    key: Limits = NO_LIMITS,
    model: str = "m",
    registry: Registry = REGISTRY,
) -> tuple[str, tuple[str, ...]]:
    """The text that goes to the provider, and what is reported."""
    made = call(asking(**fields))
    limited = replace(
        made, workspace=replace(made.workspace, limits=workspace), principal=replace(made.principal, limits=key)
    )
    deployment = Deployment(provider, model, BASE_URL, region="eu-central-1")
    request = registry.translator(provider, "chat").build_request(limited, deployment)
    return request.body.decode(), request.ignored


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_value_without_a_price_reaches_no_provider(provider: str) -> None:
    for field in PRICE_FIELDS:
        body, path = nested(field.path, UNUSUAL), field.path.replace("*", "openai")
        if field.is_refused:
            with pytest.raises(UnsupportedParameter) as caught:
                sent(provider, body)
            assert caught.value.param == path
            continue
        text, ignored = sent(provider, body)
        assert UNUSUAL not in text and path in ignored, path


@pytest.mark.parametrize("provider", PROVIDERS)
def test_an_object_in_place_of_a_tier_reaches_no_provider(provider: str) -> None:
    for value in ({"type": UNUSUAL}, [UNUSUAL], {"service_tier": UNUSUAL}):
        for name in ("serviceTier", "performanceConfig", "search_parameters", "extra_body"):
            text, ignored = sent(provider, {name: value})
            assert UNUSUAL not in text and name in ignored


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("tier", ["priority", "fast", "scale", "reserved", "performance", "ultrafast", "PRIORITY"])
def test_a_dear_tier_is_sent_only_where_its_price_is_known(provider: str, tier: str) -> None:
    for model in {"m", "gpt-4o", *(name for name in ("o3", "gpt-5.2") if provider in ("openai", "azure"))}:
        text, ignored = sent(provider, {"service_tier": tier}, model=model)
        row = load_catalog().find_model(f"{provider}/{model}", price_options({"service_tier": tier}))
        if row is not None and f"service_tier={tier}" in row.variants:
            assert json.loads(text)["service_tier"] == tier and ignored == ()
            usual = load_catalog().find_model(f"{provider}/{model}")
            assert usual is not None and _price(row) > _price(usual)
        else:
            assert tier not in text and "service_tier" in ignored


def _price(row: Any) -> Decimal:
    price = call_cost(row, TokenCounts(1000, 1000))
    assert price is not None
    return price


def test_the_prices_of_some_tiers_are_known() -> None:
    assert sent("openai", {"service_tier": "priority"}, model="o3")[1] == ()
    assert sent("anthropic", {"speed": "fast"}, model="claude-opus-4-8")[1] == ()
    assert '"inference_geo":"us"' in sent("anthropic", {"inference_geo": "us"}, model="claude-opus-4-8")[0]
    assert sent("anthropic", {"speed": "fast"}, model="claude-sonnet-4-5")[1] == ("speed",)
    assert sent("azure", {"service_tier": "priority"}, model="o3")[1] == ("service_tier",)
    with pytest.raises(UnsupportedParameter):
        sent("anthropic", {"inference_geo": "eu"}, model="claude-opus-4-8")


@pytest.mark.parametrize("provider", PROVIDERS)
def test_usual_and_cheap_values_are_treated_as_before(provider: str) -> None:
    for field in PRICE_FIELDS:
        for value in field.usual:
            made = call(asking(**nested(field.path, value)))
            deployment = Deployment(provider, "m", BASE_URL, region="eu-central-1")
            expected = replace(REGISTRY.load(provider).build_request(made, deployment), call_id=made.id)
            assert REGISTRY.translator(provider, "chat").build_request(made, deployment) == expected


@pytest.mark.parametrize("limits", [ONE_MODEL, Limits(providers=("*",)), Limits(usd_per_day=Decimal(1))])
@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_field_that_leads_to_another_model_reaches_no_provider_where_models_are_limited(
    provider: str, limits: Limits
) -> None:
    for field in MODEL_FIELDS:
        body = nested(field.path, {"model": UNUSUAL})
        for text, ignored in (sent(provider, body, workspace=limits), sent(provider, body, key=limits)):
            assert UNUSUAL not in text and field.path in ignored, field.path


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_length_or_a_number_of_answers_under_another_name_is_sent_only_if_the_operator_allows_it(
    provider: str,
) -> None:
    lengths = ["max_new_tokens", "max_output_tokens", "n_predict", "max_length", "maxTokens", "maxOutputTokens"]
    counts = ["num_choices", "num_return_sequences", "best_of", "candidate_count", "num_generations"]
    for name in (*lengths, *counts, "options.num_predict", "parameters.max_new_tokens"):
        text, ignored = sent(provider, {"max_tokens": 1, **nested(name, 61_234)})
        assert "61234" not in text and name in ignored, name
    if provider == "vllm":
        registry = Registry(allowed_price_fields=parse_allowed("best_of,max_new_tokens"))
        text, ignored = sent(provider, {"best_of": 3, "max_new_tokens": 9, "n_predict": 9}, registry=registry)
        assert json.loads(text).items() >= {"best_of": 3, "max_new_tokens": 9}.items() and ignored == ("n_predict",)


def test_the_other_fields_of_an_object_are_sent() -> None:
    options = {"gateway": {"models": ["a/b"], "only": ["azure"]}, "openai": {"serviceTier": "priority", "store": True}}
    text, ignored = sent("vercel", {"providerOptions": options}, workspace=ONE_MODEL)
    assert json.loads(text)["providerOptions"] == {"gateway": {"only": ["azure"]}, "openai": {"store": True}}
    assert ignored == ("providerOptions.openai.serviceTier", "providerOptions.gateway.models")
    assert options["gateway"]["models"] == ["a/b"]  # the caller's object is not changed


def test_a_router_s_fields_are_sent_where_nothing_is_limited() -> None:
    fields = {"preset": "mine", "plugins": [{"id": "web"}], "route": "fallback"}
    text, ignored = sent("openrouter", fields, workspace=Limits(requests_per_minute=5, tokens_per_day=5))
    assert json.loads(text).items() >= fields.items() and ignored == ()


@pytest.mark.parametrize("provider", PROVIDERS)
def test_converse_s_own_fields_set_no_length_and_no_number_of_answers(provider: str) -> None:
    more = {"max_tokens": 61_234, "n": 61_234, "inferenceConfig": {"maxTokens": 61_234, "topK": 5}, "k": 6}
    text, ignored = sent(provider, {"max_tokens": 1, "additionalModelRequestFields": more})
    assert "61234" not in text
    paths = ("max_tokens", "n", "inferenceConfig.maxTokens")
    assert {f"additionalModelRequestFields.{path}" for path in paths} <= set(ignored)
    if provider == "bedrock":
        assert json.loads(text)["additionalModelRequestFields"] == {"inferenceConfig": {"topK": 5}, "k": 6}


def test_tools_that_ask_another_model_are_left_out_where_models_are_limited() -> None:
    function = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
    advisor = {"type": "advisor_20260301", "name": "advisor", "model": "claude-fable-5"}
    text, ignored = sent("anthropic", {"tools": [advisor, function]}, workspace=ONE_MODEL)
    assert "advisor" not in text and '"f"' in text and ignored == ("tools[0]",)
    text, ignored = sent("anthropic", {"tools": [advisor], "tool_choice": "auto"}, workspace=ONE_MODEL)
    assert "tool" not in text and ignored == ("tools[0]",)
    assert "advisor" in sent("anthropic", {"tools": [advisor]})[0]
    fusion, search = {"type": "openrouter:fusion"}, {"type": "openrouter:web_search"}
    text, ignored = sent("openrouter", {"tools": [search, fusion]}, key=ONE_MODEL)
    assert "fusion" not in text and "openrouter:web_search" in text and ignored == ("tools[1]",)


@pytest.mark.parametrize(
    ("provider", "tool_type", "path"),
    [
        ("anthropic", "code_execution_20250825", "tools.code_execution"),
        ("gemini", "google_maps", "tools.google_maps"),
        ("vertex", "enterpriseWebSearch", "tools.enterprise_web_search"),
        ("openai", "code_interpreter", "tools.code_interpreter"),
        ("openai", "image_generation", "tools.image_generation"),
        ("azure", "image_generation", "tools.image_generation"),
        ("xai", "code_execution", "tools.code_execution"),
        ("xai", "code_interpreter", "tools.code_interpreter"),
        ("xai", "x_search", "tools.x_search"),
        ("groq", "code_interpreter", "tools.code_interpreter"),
        ("openrouter", "openrouter:image_generation", "tools.image_generation"),
        ("openrouter", "code_execution_20250825", "tools.code_execution"),
        ("vllm", "code_interpreter", "tools.code_interpreter"),
        ("litellm", "x_search", "tools.x_search"),
    ],
)
def test_a_tool_without_a_price_is_sent_only_if_the_operator_allows_it(
    provider: str, tool_type: str, path: str
) -> None:
    fields: dict[str, Any] = {"tools": [{"type": tool_type, "name": "tool"}], "tool_choice": "auto"}
    text, ignored = sent(provider, fields)
    assert "tools" not in json.loads(text) and ignored == ("tools[0]",)
    text, ignored = sent(provider, fields, registry=Registry(allowed_price_fields=parse_allowed(path)))
    assert json.loads(text)["tools"] and "tools[0]" not in ignored


def test_a_tool_that_one_provider_charges_for_is_free_at_another() -> None:
    text, ignored = sent("gemini", {"tools": [{"type": "code_execution"}]}, model="gemini-2.5-flash")
    assert json.loads(text)["tools"] == [{"codeExecution": {}}] and ignored == ()


def test_the_operator_can_allow_fields_without_a_price() -> None:
    registry = Registry(allowed_price_fields=parse_allowed("service_tier, speed"))
    assert '"performance"' in sent("groq", {"service_tier": "performance"}, registry=registry)[0]
    assert sent("openai", {"performanceConfig": {"latency": "optimized"}}, registry=registry)[1] == (
        "performanceConfig",
    )
    with pytest.raises(ConfigurationError, match="'tier' is not a field that changes the price"):
        parse_allowed("tier")


def test_the_table_is_loaded_for_every_field_in_it() -> None:
    names = {field.path.partition(".")[0] for field in (*PRICE_FIELDS, *MODEL_FIELDS)}
    assert names == chat_translator._PRICE_CHANGING_FIELDS  # pyright: ignore[reportPrivateUsage]


def test_every_field_has_a_source() -> None:
    assert [field.path for field in (*PRICE_FIELDS, *PRICE_TOOLS, *MODEL_FIELDS) if not field.source] == []
