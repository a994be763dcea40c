"""What each provider does with each feature, found by asking it: `python -m tests.providers.feature_table --write`."""

import json
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from tests.providers.calls import call
from tests.providers.features import FEATURES, FETCHED, Feature
from tidegate import catalog
from tidegate.catalog.names import PROVIDER_ALIASES
from tidegate.domain.call import Call
from tidegate.domain.deployment import Deployment
from tidegate.errors import ConfigurationError, InvalidRequest
from tidegate.providers import ProviderSpec, Registry
from tidegate.providers.account_ids import ACCOUNT_FIELDS
from tidegate.providers.base import Provider
from tidegate.providers.embeddings import registry as embeddings
from tidegate.providers.moderations import registry as moderations
from tidegate.providers.price_fields import MODEL_FIELDS, PRICE_FIELDS, PRICE_TOOLS
from tidegate.providers.rerank import registry as rerank

DOCUMENT = Path(__file__).parents[2] / "docs" / "PROVIDERS.md"
CASES = Path(__file__).parent / "cases"

MARKS = {"proven": "●", "mapped": "○", "reported": "△", "impossible": "✕", "unsaid": "·"}
"""From the best to the least."""

_ORDER = tuple(MARKS)
_HOST = "https://host.invalid/v1"
_registry = Registry()


def known() -> Iterator[tuple[ProviderSpec, Provider]]:
    """Every provider that chats."""
    for one in (spec for spec in _registry.specs() if spec.chats):
        try:
            yield one, _registry.load(one.name)
        except (ConfigurationError, ImportError):
            continue


@cache
def measure(name: str) -> dict[str, tuple[str, bool]]:
    """What it does with each feature, by the best of its models, and whether that depends on the model."""
    found: dict[str, tuple[str, bool]] = {}
    provider = _registry.load(name)
    models = _models(provider.name)
    for feature in FEATURES:
        states = {_state(provider, feature, model) for model in models}
        best = min(states, key=_ORDER.index)
        if _is_proven(provider.name, feature) and (best == "mapped" or feature.by_reply):
            best = "proven"
        found[feature.name] = (best, len(states) > 1)
    return found


@cache
def _models(provider: str) -> tuple[str, ...]:
    """A model of no known kind, and those of the catalogue and of the cases: rules go by names."""
    listed = [name.partition("/")[2] for name in catalog.load_catalog().ids() if name.partition("/")[0] == provider]
    return tuple(
        dict.fromkeys(["m", *listed, *(request["model"].partition("/")[2] for request, _, _ in _cases(provider))])
    )


def _state(provider: Provider, feature: Feature, model: str) -> str:
    try:
        sent, ignored = _sent(provider, feature.asked, model)
    except InvalidRequest as error:
        assert error.param, f"{provider.name}: {feature.name} is refused without a name: {error.message}"
        return "impossible"
    if set(feature.fields) & ignored:
        return "reported"
    if not feature.without:
        return "mapped"
    return "unsaid" if sent == _sent(provider, feature.without, model)[0] else "mapped"


def _sent(provider: Provider, body: Mapping[str, Any], model: str) -> tuple[tuple[str, bytes], set[str]]:
    deployment = Deployment(provider.name, model, _HOST, region="eu-central-1")
    asked = _call(json.dumps(body))
    asked = replace(asked, media={url: FETCHED[url] for url in provider.media_urls(asked, deployment).values()})
    request = provider.build_request(asked, deployment)
    return (request.url, request.body), set(request.ignored)


@cache
def _call(body: str) -> Call:
    return call({"model": "any/m", **json.loads(body)})


def _is_proven(provider: str, feature: Feature) -> bool:
    """Whether a case shows it, sent and not reported."""
    return any(
        feature.shown(request, reply) and not set(feature.fields) & ignored
        for request, ignored, reply in _cases(provider)
    )


@cache
def _cases(provider: str) -> list[tuple[dict[str, Any], set[str], Any]]:
    """The cases whose request goes out: the request, what is reported of it, and the reply that is no error."""
    found: list[tuple[dict[str, Any], set[str], Any]] = []
    for folder in sorted((CASES / provider).glob("*/")):
        sent = json.loads((folder / "sent.json").read_text())
        reply = json.loads((folder / "reply.json").read_text()) if (folder / "reply.json").exists() else None
        if "error" not in sent:
            failed = isinstance(reply, dict) and "error" in reply
            found.append(
                (json.loads((folder / "request.json").read_text()), set(sent["ignored"]), None if failed else reply)
            )
    return found


def render() -> str:
    """The document."""
    providers = list(known())
    return "\n".join(
        [
            *(*_INTRODUCTION, "", *_features(providers), "", *_operations(), ""),
            *(*_settings(), "", *_prices(), *_account(), ""),
        ]
    )


def _operations() -> Iterator[str]:
    yield "## Embeddings, rerank and moderations"
    yield ""
    yield "`EMBEDDINGS.md` has their fields and limits. A server of your own gets all three as the caller sends them."
    yield ""
    yield "| provider | embeddings | rerank | moderations |"
    yield "|---|:-:|:-:|:-:|"
    sets = (embeddings.PROVIDERS, rerank.PROVIDERS, moderations.PROVIDERS)
    for name in sorted(frozenset[str]().union(*sets)):
        yield f"| {name} | {' | '.join('○' if name in each else '' for each in sets)} |"


_INTRODUCTION = (
    "# Providers",
    "",
    "This page lists the built-in providers, the features that each supports, and its settings. To use a provider, set",
    'its key (see "Settings"), and ask for the model `provider/model`:',
    "",
    "```sh",
    "OPENAI_API_KEY=… python -m tidegate serve",
    'curl http://127.0.0.1:8000/v1/chat/completions -H "Authorization: Bearer $KEY" \\',
    "  -H 'Content-Type: application/json' \\",
    '  -d \'{"model": "openai/gpt-4.1-mini", "messages": [{"role": "user", "content": "Hello"}]}\'',
    "```",
    "",
    "If the provider cannot honour a field, the reply names it in `x-tidegate-ignored-params`. With",
    '`"require_parameters": true` in the request, that is a 400 instead.',
    "",
    "`python -m tests.providers.feature_table --write` writes this page; a test fails if it is not current.",
    "",
    "## Features",
    "",
    "Each cell was found by building two small requests: one with the feature and one without it.",
    "",
    "| mark | the feature is |",
    "|---|---|",
    "| ● | sent, and a case in `tests/providers/cases` proves it |",
    "| ○ | sent |",
    "| △ | left out or only nearly honoured, and named in `x-tidegate-ignored-params` |",
    "| ✕ | refused with a 400 that names the field or the part |",
    "| · | left out without a report, as nothing is lost: the provider caches by itself, or takes no reasoning back |",
    "",
    "`*`: it depends on the model; the table shows the best model in the catalogue. A provider can still refuse what",
    "was sent, if the model does not have the feature: the caller then gets the provider's own message.",
    "",
    "- **`repetition_penalty`, `top_k`, `min_p`** are never turned into other fields. `repetition_penalty` multiplies,",
    "  while OpenAI's two penalties subtract: no value of one has the effect of the other. Providers that do not",
    "  document such a field do not get it.",
    "- **OpenAI's Responses API** is asked, and its reply becomes a chat completion, where chat completions cannot",
    "  do what the call needs: web search (`web_search_options`, or a tool `web_search`) with models other than",
    "  `…-search-preview`, tools together with reasoning (gpt-5.4 and later), and models that are only there",
    "  (`o1-pro`, `o3-pro`, `gpt-…-pro`, `…-codex`, deep research). Azure: on a base URL that ends with",
    "  `/openai/v1`, without web search, which would leave Azure's boundary. Such a call has one choice and takes",
    "  no sound: `n` above 1 and audio parts are a 400. `stop`, `seed`, penalties, `logit_bias` and `prediction`",
    "  are left out and named, and so is a limit below 16 tokens, which becomes 16. `store` is false unless the",
    "  caller sends true. Searches are counted in `usage.server_tool_use.web_search_requests`. Encrypted reasoning",
    "  comes back in `reasoning_details`, and goes to the model again with the calls that followed from it. A",
    "  readable summary is asked for where the call has a `reasoning` or `thinking` object (`reasoning.summary`",
    "  chooses its length): OpenAI refuses it to organisations that are not verified, so that a bare",
    "  `reasoning_effort` gets none.",
    "- **Tools and reasoning.** Azure's other base URLs have chat completions only, where gpt-5.4 and later take tools",
    "  without reasoning: the gateway asks for the effort `none`, and names the caller's reasoning as ignored. Claude",
    "  with a token budget, DeepSeek, Kimi and Qwen cannot be forced to call a tool while they think: `tool_choice` is",
    "  left out and named.",
    "- **Strict schemas.** Anthropic, also on Bedrock, enforces in one request at most 20 strict tools, 24 optional",
    "  properties and 16 schemas with `anyOf`, and no schema that contains itself. Tools beyond that are sent without",
    "  `strict`, and named. The schema of an answer beyond that becomes a tool that the model must call.",
    "- **A last message of the assistant** is continued by Anthropic and Bedrock (models before Claude 4.6) and by",
    "  Mistral. OpenAI's models answer it.",
)


def _features(providers: list[tuple[ProviderSpec, Provider]]) -> Iterator[str]:
    yield _row("provider", *(feature.name for feature in FEATURES))
    yield "|---" + "|:-:" * len(FEATURES) + "|"
    for one, _ in providers:
        states = measure(one.name)
        yield _row(one.name, *(MARKS[state] + ("*" if varies else "") for state, varies in states.values()))


def _settings() -> Iterator[str]:
    yield from ("## Settings", "", "A provider can be used when all settings that it needs are set.", "")
    yield _row("provider", "also called", "key", "base URL", "default base URL", "more")
    yield "|---|---|---|---|---|---|"
    for one in _registry.specs():
        others = ", ".join(sorted(f"`{alias}`" for alias, name in PROVIDER_ALIASES.items() if name == one.name))
        base_url = f"`{one.base_url}`" if one.base_url else "must be set"
        more = _listed(*one.region_settings, *([one.version_setting] if one.version_setting else []))
        yield _row(one.name, others, _key(one), f"`{one.base_url_setting}`", base_url, more)


_PRICES = (
    "## What changes the price",
    "",
    "These fields change the price. A value in the second column has the usual price or a lower one, and is sent. Any",
    "other value is sent if the catalogue has its price for the model, which is then the price of the call. Else the",
    "field is left out and named in `x-tidegate-ignored-params`, or refused with a 400 where the third column says",
    "so.",
    "",
    "- **Tiers.** The catalogue has the prices of OpenAI's `flex`, `priority` and `fast`, of Anthropic's fast mode,",
    "  and of Anthropic's inference in the US. A budget holds the price of the requested tier, but never the lower",
    "  one of `flex`. The bill follows the tier that the provider names in its reply. A cheap tier whose price is not",
    "  known is billed at the usual price.",
    "- **`auto`** is what the provider does without the field: OpenAI takes the setting of your project, and",
    "  Anthropic takes capacity that you have committed to. The gateway does not change that. The bill follows the",
    "  tier in the reply.",
    "- **`TIDEGATE_ALLOWED_PRICE_FIELDS`**, such as `service_tier,speed`, lists fields of this table that are sent",
    "  with any value. A value without a known price is then billed at the usual one.",
    "- **Hosts and extras of a router.** OpenRouter and Perplexity report in `usage.cost` what they have charged. That",
    "  is billed if it is higher than the catalogue's price, as for a dearer host (`:nitro`, `provider.order`) or a",
    "  plugin. A budget holds the catalogue's price.",
    "- **Caches.** Tokens that are written to a cache for an hour (`ttl: 1h`) and long contexts have their own prices",
    "  in the catalogue. `prompt_cache_retention` is free. The storage of Gemini's `cachedContent` (with a workspace's",
    "  own key) is not in the bill.",
    "- **Tools that a provider runs** for a price of their own are left out and named, such as `tools[0]`, unless the",
    "  operator allows them: the rows that begin with `tools.`.",
    "",
)

_OTHER_MODELS = (
    "",
    "### Fields that lead to another model",
    "",
    "With a provider's own fallbacks, routers and presets, another model can answer, at another price. If `models` or",
    "`providers` of the workspace or the key are limited, or a budget in USD applies, these fields are left out and",
    "named in `x-tidegate-ignored-params`. Without such limits they are sent, and the call is billed at the price of",
    "the requested model (or OpenRouter's own cost). Use the gateway's own `fallbacks` or routes instead.",
    "",
)

_NAMES = (
    "",
    "Tools that ask another model are left out in these cases as well: Anthropic's `advisor_…`, and OpenRouter's",
    "server tools other than `openrouter:web_search`, `openrouter:web_fetch` and `openrouter:datetime`.",
    "",
    "### Names of models",
    "",
    "Prices are looked up, and allowed models are compared, by the plain name of a model:",
    "",
    "| sent name | price | matched by `models` |",
    "|---|---|---|",
    "| `gemini/models/x`, `vertex/publishers/google/models/x` | of `x` | `gemini/x`, `vertex/x` |",
    "| `fireworks/accounts/fireworks/models/x` | of `x` | `fireworks/x`, and the long name |",
    "| `openai/openai/x`, `openai/x/`, `openai/X`, `openai/%78`, full-width letters | of `x` | `openai/x` |",
    "| `openrouter/a/x:nitro`, `:floor` and other suffixes | of `a/x`, unless listed | only with the suffix |",
    "| `openrouter/a/x:online` | of `a/x`, and USD 0.02 for the search | only with the suffix |",
    "| `openrouter/…@preset/…` | unknown | only by a pattern that contains `@preset/` |",
    "| `huggingface/a/x`, `huggingface/a/x:fastest` | of the dearest host in the catalogue | only as sent |",
    "| `anthropic/claude-4-opus`, `anthropic/claude-opus-4.5` and the like, which become `claude-opus-4-0`, "
    "`claude-opus-4-5` | of Anthropic's own name | Anthropic's own name |",
    "| `openrouter/auto`, an unknown name, an Azure deployment with a name of its own | unknown | only as sent |",
    "",
    "A model without a known price is refused where a budget in USD applies, unless the workspace allows it.",
)


def _prices() -> Iterator[str]:
    yield from _PRICES
    yield _row("field", "sent with", "other values", "source")
    yield "|---|---|---|---|"
    for field in PRICE_FIELDS:
        usual = _listed(*(value if isinstance(value, str) else json.dumps(value) for value in field.usual))
        yield _row(f"`{field.path}`", usual or "–", "refused" if field.is_refused else "left out", field.source)
    for tool in PRICE_TOOLS:
        free_at = f"free at {', '.join(sorted(tool.free_at))}" if tool.free_at else "–"
        yield _row(f"`{tool.path}`", free_at, "left out", tool.source)
    yield from _OTHER_MODELS
    yield _row("field", "source")
    yield "|---|---|"
    for source in dict.fromkeys(field.source for field in MODEL_FIELDS):
        yield _row(_listed(*(field.path for field in MODEL_FIELDS if field.source == source)), source)
    yield from _NAMES


_ACCOUNT = (
    "",
    "## What belongs to the provider's account",
    "",
    "Workspaces that use the gateway's keys share the accounts behind them, and an id does not tell which workspace",
    "it belongs to. So that no caller reads the files, caches or stores of another:",
    "",
    "- these fields are left out, and named in `x-tidegate-ignored-params` (a new `container` with Anthropic's own",
    "  skills is sent);",
    "- tools that search stores of the account are left out and named: `file_search`, `retrieval`,",
    "  `collections_search`, and tools with `file_ids`, `vector_store_ids`, `connector_id` or the id of a container;",
    "- files of the account in messages are a 400 `unsupported_parameter`: `file_id`, Google's `files/…`, addresses",
    "  with `gs://`, `s3://`, `oss://`, `ms://` or `fileid://`. Send the content, or a public address.",
    "",
    "A workspace that brings its own key for the provider owns the account: for its calls, all of this is sent. If you",
    "have one tenant, store your key as the workspace's credential.",
    "",
    "Ids of audio in earlier replies (`message.audio.id`) are sent: they are the only way to continue a spoken",
    "conversation, and expire after an hour.",
    "",
)


def _account() -> Iterator[str]:
    yield from _ACCOUNT
    yield _row("field", "source")
    yield "|---|---|"
    for field in ACCOUNT_FIELDS:
        yield _row(f"`{field.name}`", field.source)


def _key(one: ProviderSpec) -> str:
    if one.key_setting:
        return f"`{one.key_setting}`"
    if one.credential_settings:
        return f"{_listed(one.optional_key_setting or '')}, or one of {_listed(*one.credential_settings)}"
    return "not needed"


def _listed(*names: str) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    if "--write" in sys.argv[1:]:
        DOCUMENT.parent.mkdir(exist_ok=True)
        DOCUMENT.write_text(render())
    else:
        print(render())
