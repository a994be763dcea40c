"""The catalogue: what it holds, and how a name finds its row."""

import json
from fnmatch import fnmatchcase
from importlib.metadata import version
from pathlib import Path
from runpy import run_path

import pytest

from tidegate import catalog
from tidegate.catalog import load
from tidegate.catalog.models import MAKERS

CATALOG = load()
GENERATOR = run_path(str(Path(__file__).parents[2] / "infra/catalog.py"))


def found(model_id: str) -> str | None:
    row = CATALOG.find(model_id)
    return row and row.id


def test_the_file_is_what_the_generator_writes() -> None:
    row = CATALOG.find("openai/gpt-4o")
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
        ("huggingface/Qwen/Qwen3-32B", None),
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
            name = GENERATOR["own_name"](model)
            theirs = origin.provider.find_model(name)
            if f"{origin.name}/{name}{origin.suffix}" in CATALOG.ids() and theirs is not model:
                strayed.append((origin.name, name))
    # Names of fine-tuned models, which nobody can call as they stand; and one that is only a label.
    assert strayed == [("mistral", "magistral-small"), ("openai", "ft:gpt-4o"), ("openai", "ft:gpt-4o-mini")]


def test_every_name_that_the_source_gives_a_model_leads_to_its_row() -> None:
    names = [
        (f"{origin.name}/{name}{origin.suffix}", f"{origin.name}/{GENERATOR['own_name'](model)}{origin.suffix}")
        for origin in GENERATOR["origins"]()
        for model in origin.provider.models
        for name in (model.id, *(clause[1:] for clause in GENERATOR["clauses"](model.match, "") if clause[0] in "=^"))
        if origin.provider.find_model(name) is model
    ]
    assert [(name, row) for name, row in names if row in CATALOG.ids() and found(name) != row] == []


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
        ("no-such-model", None),
        ("", None),
        ("/", None),
    ],
)
def test_a_bare_name_resolves_to_its_maker_or_its_only_host(bare: str, full: str | None) -> None:
    assert CATALOG.resolve(bare) == full


def test_what_a_bare_name_resolves_to_is_in_the_catalogue() -> None:
    bare = [model_id.partition("/")[2] for model_id in CATALOG.ids() if model_id.partition("/")[0] in MAKERS]
    bare = [name for name in bare if "/" not in name]
    assert [name for name in bare if CATALOG.find(CATALOG.resolve(name) or "") is None] == []


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("openai/gpt4o", "openai/gpt-4o"),
        ("gpt-4oo", "openai/gpt-4o"),
        ("anthropic/claude-3.5-sonnet-v2", "anthropic/claude-3-5-sonnet"),
        ("google/gemini-25-flash", "gemini/gemini-2.5-flash"),
    ],
)
def test_a_wrong_name_is_answered_with_near_ones(wrong: str, right: str) -> None:
    near = CATALOG.nearest(wrong)
    assert right in near and len(near) == 3


def test_nothing_is_near_to_nonsense() -> None:
    assert [CATALOG.nearest(name) for name in ("", "q", "zzzzzzzz")] == [[], [], []]


def test_every_row_has_a_name_a_source_and_a_date() -> None:
    rows = list(CATALOG)
    assert [row.id for row in rows] == list(CATALOG.ids()) and len(rows) == len(CATALOG)
    assert [row.id for row in rows if not (row.name and row.source and row.provider)] == []


def test_the_demo_costs_nothing_and_says_so() -> None:
    row = CATALOG.find("demo/echo")
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
    row = CATALOG.find(model_id)
    assert row is not None and row.output_limit == limit


def test_every_fact_of_ours_is_about_some_model() -> None:
    facts = json.loads((Path(catalog.__file__).parent / "additions.json").read_bytes())["facts"]
    unused = [fact for fact in facts if not any(fnmatchcase(each, p) for p in fact["models"] for each in CATALOG.ids())]
    assert unused == [] and all(fact["source"] and fact["checked"] for fact in facts)
