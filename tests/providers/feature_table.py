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
from tidegate.providers.base import Provider

DOCUMENT = Path(__file__).parents[2] / "docs" / "PROVIDERS.md"
CASES = Path(__file__).parent / "cases"

MARKS = {"proven": "●", "mapped": "○", "reported": "△", "impossible": "✕", "unsaid": "·"}
"""From the best to the least."""

_ORDER = tuple(MARKS)
_HOST = "https://host.invalid/v1"
_registry = Registry()


def known() -> Iterator[tuple[ProviderSpec, Provider]]:
    """Every provider that is there."""
    for one in _registry.specs():
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
    return "\n".join([*_INTRODUCTION, "", *_features(providers), "", *_settings(providers), ""])


_INTRODUCTION = (
    "# Providers",
    "",
    "This page lists the built-in providers, the features that each supports, and its settings. To use a provider, set",
    'its key (see "Settings"), and ask for the model `provider/model`:',
    "",
    "```sh",
    "OPENAI_API_KEY=… python -m tidegate serve",
    "curl http://127.0.0.1:8000/v1/chat/completions -H 'Authorization: Bearer sk-tidegate-demo' \\",
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
)


def _features(providers: list[tuple[ProviderSpec, Provider]]) -> Iterator[str]:
    yield _row("provider", *(feature.name for feature in FEATURES))
    yield "|---" + "|:-:" * len(FEATURES) + "|"
    for one, _ in providers:
        states = measure(one.name)
        yield _row(one.name, *(MARKS[state] + ("*" if varies else "") for state, varies in states.values()))


def _settings(providers: list[tuple[ProviderSpec, Provider]]) -> Iterator[str]:
    yield from ("## Settings", "", "A provider can be used when all settings that it needs are set.", "")
    yield _row("provider", "also called", "key", "base URL", "default base URL", "more")
    yield "|---|---|---|---|---|---|"
    for one, _ in providers:
        others = ", ".join(sorted(f"`{alias}`" for alias, name in PROVIDER_ALIASES.items() if name == one.name))
        base_url = f"`{one.base_url}`" if one.base_url else "must be set"
        more = _listed(*one.region_settings, *([one.version_setting] if one.version_setting else []))
        yield _row(one.name, others, _key(one), f"`{one.base_url_setting}`", base_url, more)


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
