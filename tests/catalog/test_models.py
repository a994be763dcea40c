"""The catalogue: what it holds, and how a name finds its row."""

import json
from datetime import date
from importlib.metadata import version
from pathlib import Path
from runpy import run_path
from typing import Any

import pytest

from tests.providers.calls import asking, sent
from tidegate import catalog
from tidegate.catalog import load_catalog
from tidegate.catalog.models import MODEL_MAKERS
from tidegate.catalog.names import PROVIDER_ALIASES
from tidegate.providers import Registry

CATALOG = load_catalog()
GENERATOR = run_path(str(Path(__file__).parents[2] / "infra/catalog.py"))

FAMILIES = json.loads((Path(catalog.__file__).parent / "families.json").read_bytes())
RULES = [*FAMILIES["models"], *FAMILIES["rates"], *FAMILIES["parameters"]]
TOOLS = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}]
SCHEMA = {
    "type": "json_schema",
    "json_schema": {"name": "a", "schema": {"type": "object", "properties": {"a": {"type": "string"}}}},
}


def found(model_id: str) -> str | None:
    row = CATALOG.find_model(model_id)
    return row and row.id


def test_the_file_is_what_the_generator_writes() -> None:
    row = CATALOG.find_model("openai/gpt-4o")
    assert row is not None and row.source.startswith(f"genai-prices {version('genai-prices')}")
    text = (Path(catalog.__file__).parent / "models.json").read_text(encoding="utf-8")
    assert text == GENERATOR["render"](GENERATOR["catalog"](row.checked))


@pytest.mark.parametrize(
    ("asked", "row"),
    [
        ("openai/gpt-4o", "openai/gpt-4o"),
        ("openai/GPT-4o", "openai/gpt-4o"),
        ("openai/gpt-4o-2024-08-06", "openai/gpt-4o"),
        ("openai/gpt-5.2-20251211", "openai/gpt-5.2"),
        ("openai/gpt-5.2-20259999", None),
        ("anthropic/claude-sonnet-4-5-20250929", "anthropic/claude-sonnet-4-5"),
        ("mistral/mistral-large-latest", "mistral/mistral-large"),
        ("google/gemini-2.5-flash", "gemini/gemini-2.5-flash"),
        ("x-ai/grok-3-latest", "xai/grok-3"),
        ("azure/gpt-4o", "openai/gpt-4o"),
        ("vertex/claude-sonnet-4-5@20250929", "vertex/claude-sonnet-4-5"),
        ("gemini/claude-sonnet-4-5", None),
        ("huggingface/Qwen/Qwen3-32B:groq", "huggingface/Qwen/Qwen3-32B:groq"),
        ("huggingface/Qwen/Qwen3-32B", "huggingface/Qwen/Qwen3-32B:sambanova"),
        ("demo/echo", "demo/echo"),
        ("demo/other", None),
        ("nobody/gpt-4o", None),
        ("gpt-4o", None),
        ("openai/", None),
        ("/", None),
        ("", None),
    ],
)
def test_a_name_finds_its_row(asked: str, row: str | None) -> None:
    assert found(asked) == row


def test_every_row_is_where_the_source_leads_its_name() -> None:
    strayed: list[tuple[str, str]] = []
    for origin in GENERATOR["origins"]():
        for model in origin.provider.models:
            name = GENERATOR["provider_model_id"](model)
            theirs = origin.provider.find_model(name)
            if f"{origin.name}/{name}{origin.suffix}" in CATALOG.ids() and theirs is not model:
                strayed.append((origin.name, name))
    # Names of fine-tuned models, which nobody can call as they stand; and one that is only a label.
    assert strayed == [("mistral", "magistral-small"), ("openai", "ft:gpt-4o"), ("openai", "ft:gpt-4o-mini")]


def test_every_name_that_the_source_gives_a_model_leads_to_its_row() -> None:
    names = [
        (
            f"{origin.name}/{name}{origin.suffix}",
            f"{origin.name}/{GENERATOR['provider_model_id'](model)}{origin.suffix}",
        )
        for origin in GENERATOR["origins"]()
        for model in origin.provider.models
        for name in (model.id, *(clause[1:] for clause in GENERATOR["clauses"](model.match, "") if clause[0] in "=^"))
        if origin.provider.find_model(name) is model
    ]
    assert [(name, row) for name, row in names if row in CATALOG.ids() and found(name) not in (row, name)] == []


@pytest.mark.parametrize(
    ("bare", "full"),
    [
        ("gpt-4o", "openai/gpt-4o"),
        ("gpt-4o-2024-08-06", "openai/gpt-4o-2024-08-06"),
        ("claude-sonnet-4-5", "anthropic/claude-sonnet-4-5"),
        ("gemini-2.5-pro", "gemini/gemini-2.5-pro"),
        ("deepseek-chat", "deepseek/deepseek-chat"),
        ("command-r-plus", "cohere/command-r-plus"),
        ("llama-3.3-70b-versatile", "groq/llama-3.3-70b-versatile"),
        ("meta-llama/Llama-3.3-70B-Instruct-Turbo", "together/meta-llama/Llama-3.3-70B-Instruct-Turbo"),
        ("echo", "demo/echo"),
        ("meta-llama/llama-3.3-70b-instruct", None),
        ("openai/gpt-oss-120b", None),
        ("gpt-oss-120b", None),
        ("no-such-model", None),
        ("", None),
        ("/", None),
    ],
)
def test_a_bare_name_resolves_to_its_maker_or_its_only_host(bare: str, full: str | None) -> None:
    assert CATALOG.resolve_bare_name(bare) == full


def test_what_a_bare_name_resolves_to_is_in_the_catalogue() -> None:
    bare = [model_id.partition("/")[2] for model_id in CATALOG.ids() if model_id.partition("/")[0] in MODEL_MAKERS]
    bare = [name for name in bare if "/" not in name]
    assert [name for name in bare if CATALOG.find_model(CATALOG.resolve_bare_name(name) or "") is None] == []


def test_every_row_has_a_name_a_source_and_a_date() -> None:
    rows = list(CATALOG)
    assert [row.id for row in rows] == list(CATALOG.ids()) and len(rows) == len(CATALOG)
    assert [row.id for row in rows if not (row.name and row.source and row.provider)] == []


def test_the_demo_costs_nothing_and_says_so() -> None:
    row = CATALOG.find_model("demo/echo")
    assert row is not None and row.source == "built in" and row.prices[0].input == 0


@pytest.mark.parametrize(
    ("model_id", "limit"),
    [
        ("anthropic/claude-sonnet-4-5-20250929", 64_000),
        ("anthropic/claude-opus-5-5", 128_000),
        ("bedrock/eu.anthropic.claude-opus-4-1-20250805-v1:0", 32_000),
        ("vertex/claude-haiku-4-5@20251001", 64_000),
        ("gemini/gemini-2.5-flash", 65_536),
        ("groq/llama-3.3-70b-versatile", None),
    ],
)
def test_the_output_limit_is_known_where_a_source_states_it(model_id: str, limit: int | None) -> None:
    row = CATALOG.find_model(model_id)
    assert row is not None and row.output_limit == limit


def test_every_claude_has_an_output_limit() -> None:
    claudes = [row for row in CATALOG if "claude-" in row.id and "latest" not in row.id.rpartition("-")[2]]
    assert [row.id for row in claudes if row.output_limit is None] == [] and len(claudes) > 100


def test_every_rule_of_ours_is_about_some_model_and_has_its_source_and_date() -> None:
    unused = [rule for rule in RULES if not any(GENERATOR["rule_applies"](rule, each) for each in CATALOG.ids())]
    # Rules for models that their providers sell, and the source of prices does not know yet.
    assert [rule["models"] for rule in unused] == [["command-a-reasoning"], ["command-a-vision"]]
    assert all(rule["source"] and date.fromisoformat(rule["checked"]) <= date(2026, 12, 1) for rule in RULES)


@pytest.mark.parametrize(
    ("model_id", "inputs", "outputs", "reasoning"),
    [
        ("openai/gpt-4o", "text image file", "text", "none"),
        ("openai/gpt-5.1", "text image file", "text", "effort"),
        ("openai/o1-mini", "text", "text", "always"),
        ("openai/gpt-audio", "text audio", "text audio", "none"),
        ("anthropic/claude-3-haiku", "text image", "text", "none"),
        ("anthropic/claude-sonnet-4-5", "text image file", "text", "budget"),
        ("anthropic/claude-opus-5-5", "text image file", "text", "adaptive"),
        ("bedrock/global.anthropic.claude-opus-4-6-v1:0", "text image file", "text", "adaptive"),
        ("openrouter/anthropic/claude-opus-4.5", "text image file", "text", "budget"),
        ("gemini/gemini-2.5-flash", "text image audio video file", "text", "budget"),
        ("gemini/gemini-3.1-flash-image-preview", "text image", "text image", "effort"),
        ("vertex/gemini-1.5-pro", "text image audio video file", "text", "none"),
        ("bedrock/amazon.nova-lite-v1:0", "text image video file", "text", "none"),
        ("bedrock/meta.llama3-2-11b-instruct-v1:0", "text image", "text", "none"),
        ("groq/openai/gpt-oss-120b", "text", "text", "effort"),
        ("groq/qwen/qwen3-32b", "text", "text", "switch"),
        ("novita/qwen/qwen3-vl-30b-a3b-instruct", "text image video", "text", "none"),
        ("mistral/mistral-medium-3-5", "text image", "text", "effort"),
        ("mistral/pixtral-large-latest", "text image", "text", "none"),
        ("xai/grok-4-0709", "text image", "text", "always"),
        ("xai/grok-4.3", "text image", "text", "effort"),
        ("xai/grok-4-fast-non-reasoning", "text image", "text", "none"),
        ("deepseek/deepseek-chat", "text", "text", "none"),
        ("deepseek/deepseek-reasoner", "text", "text", "always"),
        ("moonshot/kimi-k2.5", "text image video", "text", "switch"),
        ("zai/GLM-4.5V", "text image video", "text", "switch"),
        ("cohere/command-r-plus", "text", "text", "none"),
        ("openrouter/sakana/fugu-max", "", "", None),
    ],
)
def test_modalities_and_reasoning_follow_the_family(
    model_id: str, inputs: str, outputs: str, reasoning: str | None
) -> None:
    row = CATALOG.find_model(model_id)
    assert row is not None
    assert (" ".join(row.inputs), " ".join(row.outputs), row.reasoning) == (inputs, outputs, reasoning)


def test_modalities_and_parameters_are_of_the_known_names() -> None:
    assert {kind for row in CATALOG for kind in (*row.inputs, *row.outputs)} == {
        "text", "image", "audio", "video", "file", "embeddings", "rerank", "moderation"
    }  # fmt: skip
    assert {name for row in CATALOG for name in row.parameters} == set(PROBES)


PROBES: dict[str, dict[str, Any]] = {
    **{name: {name: 0.5} for name in ("temperature", "top_p", "min_p", "frequency_penalty", "presence_penalty")},
    **{name: {name: 50} for name in ("top_k", "max_tokens", "seed")},
    "stop": {"stop": ["x"]},
    "repetition_penalty": {"repetition_penalty": 1.1},
    "logit_bias": {"logit_bias": {"1": 1}},
    "logprobs": {"logprobs": True},
    "top_logprobs": {"top_logprobs": 2, "logprobs": True},
    "tools": {"tools": TOOLS},
    "tool_choice": {"tool_choice": "required", "tools": TOOLS},
    "parallel_tool_calls": {"parallel_tool_calls": False, "tools": TOOLS},
    "response_format": {"response_format": {"type": "json_object"}},
    "structured_outputs": {"response_format": SCHEMA},
    "reasoning": {"reasoning": {"effort": "high"}},
    "web_search_options": {"web_search_options": {}},
    "verbosity": {"verbosity": "low"},
}


def test_what_is_listed_as_supported_is_never_reported_as_ignored() -> None:
    registry = Registry()
    served = {known.name for known in registry.specs()}
    broken: list[tuple[str, str]] = []
    for row in CATALOG:
        provider, _, model = row.id.partition("/")
        for name in row.parameters if provider in served else ():
            _, ignored = sent(registry.load(provider), asking(**PROBES[name]), model)
            field = next(iter(PROBES[name]))
            if any(path == field or path.startswith((f"{field}.", f"{field}[")) for path in ignored):
                broken.append((row.id, name))
    assert broken == []


@pytest.mark.parametrize(("alias", "provider"), PROVIDER_ALIASES.items())
def test_an_alias_of_a_provider_finds_its_models(alias: str, provider: str) -> None:
    names = [model_id.partition("/")[2] for model_id in CATALOG.ids() if model_id.startswith(f"{provider}/")]
    models = [(CATALOG.find_model(f"{alias}/{name}"), CATALOG.find_model(f"{provider}/{name}")) for name in names]
    assert all(model is not None and model == other for model, other in models)
