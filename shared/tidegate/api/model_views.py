"""JSON of models: OpenAI's object with the fields that OpenRouter's clients read, Lunos's and neuroflash's.

Source: https://platform.openai.com/docs/api-reference/models/object,
https://openrouter.ai/docs/api-reference/models/get-models, and the npm packages @openrouter/sdk 1.3 and
@lunos/client 1.5 (2026-11).
"""

from calendar import timegm
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from functools import lru_cache

from msgspec import Struct

from tidegate.catalog import Catalog, CatalogModel
from tidegate.catalog.row import Price
from tidegate.domain.money import exact_money
from tidegate.domain.record import plain_decimal
from tidegate.errors import InvalidRequest
from tidegate.json import encode

INPUTS = ("text", "image", "audio", "video", "file")
OUTPUTS = ("text", "image", "audio", "embeddings", "rerank", "moderation")

_UNKNOWN_PRICE = "-1"
"""OpenRouter's value for an unknown price; its clients expect a number in a string."""


_CAPABILITIES = {
    "text": "text-generation",
    "image": "image-generation",
    "audio": "speech-generation",
    "embeddings": "text-embedding",
}
"""Lunos's names of what models make, as its client asks for them."""

_TYPES = {"embeddings": "embedding", "rerank": "rerank", "moderation": "moderation"}
"""Together's names of the types of models, by their outputs; all others are "chat"."""


class ModelFilter(Struct, frozen=True):
    """Accepts models that read all of `inputs` and generate all of `outputs`."""

    inputs: frozenset[str] = frozenset()
    outputs: frozenset[str] = frozenset()

    def accepts(self, model: CatalogModel) -> bool:
        return self.inputs <= set(_modalities(model.inputs)) and self.outputs <= set(_modalities(model.outputs))


def modalities(lists: Iterable[str], allowed: tuple[str, ...], param: str) -> frozenset[str]:
    """Parse comma-separated lists of modalities. Raises `InvalidRequest` for an unknown one."""
    names = [name for text in lists for name in text.split(",")]
    for name in names:
        if name not in allowed:
            raise InvalidRequest(f"{name!r} is not a valid modality: choose from {', '.join(allowed)}.", param=param)
    return frozenset(names)


def openrouter_list(
    catalog: Catalog, configured: frozenset[str], model_filter: ModelFilter, first: Sequence[object] = ()
) -> bytes:
    """Return, as JSON, the entries `first`, then the configured providers' models that the filter accepts.

    The unfiltered list is encoded only once.
    """
    models, count = _filtered_models(catalog, configured, model_filter)
    data = _concatenate(encode(first), models)
    end = encode({"total_count": len(first) + count, "links": {"next": None}})
    return b'{"object":"list","data":' + data + b"," + end[1:]


def count_models(catalog: Catalog, configured: frozenset[str], model_filter: ModelFilter) -> int:
    """Return the number of the configured providers' models that the filter accepts."""
    return _filtered_models(catalog, configured, model_filter)[1]


def _filtered_models(catalog: Catalog, configured: frozenset[str], model_filter: ModelFilter) -> tuple[bytes, int]:
    if model_filter == ModelFilter():
        return _all_models(catalog, configured)
    return _encode_models(model for model in catalog_models(catalog, configured) if model_filter.accepts(model))


@lru_cache(maxsize=1)
def _all_models(catalog: Catalog, configured: frozenset[str]) -> tuple[bytes, int]:
    return _encode_models(catalog_models(catalog, configured))


def _encode_models(models: Iterable[CatalogModel]) -> tuple[bytes, int]:
    entries = [model_json(model) for model in models]
    return encode(entries), len(entries)


def lunos_list(catalog: Catalog, configured: frozenset[str], model_filter: ModelFilter) -> bytes:
    """Return, as JSON, Lunos's array of the configured providers' models that the filter accepts."""
    if model_filter == ModelFilter():
        return _all_public(catalog, configured)
    models = (model for model in catalog_models(catalog, configured) if model_filter.accepts(model))
    return encode([public_model_json(model) for model in models])


@lru_cache(maxsize=1)
def _all_public(catalog: Catalog, configured: frozenset[str]) -> bytes:
    return encode([public_model_json(model) for model in catalog_models(catalog, configured)])


def neuroflash_list(catalog: Catalog, configured: frozenset[str], first: bytes = b"[]") -> bytes:
    """Return neuroflash's list as JSON: the entries of the list `first`, then all models."""
    return _concatenate(first, _all_selected(catalog, configured))


@lru_cache(maxsize=1)
def _all_selected(catalog: Catalog, configured: frozenset[str]) -> bytes:
    return encode([selected_model_json(model) for model in catalog_models(catalog, configured)])


def _concatenate(first: bytes, second: bytes) -> bytes:
    """Concatenate two lists that are encoded as JSON."""
    if first == b"[]":
        return second
    return first if second == b"[]" else first[:-1] + b"," + second[1:]


def catalog_models(catalog: Catalog, configured: frozenset[str]) -> Iterator[CatalogModel]:
    """Return the models of the configured providers."""
    return (model for model in catalog if model.provider in configured)


def model_json(model: CatalogModel) -> dict[str, object]:
    """Return one entry of `/v1/models`. Prices are in USD for one token, one request or one search.

    OpenRouter's SDK takes neither null nor nothing for the tokenizer and `is_moderated`, which are not known.
    """
    inputs, outputs = _modalities(model.inputs), _modalities(model.outputs)
    return {
        "id": model.id,
        "object": "model",
        "created": timegm(model.checked.timetuple()),
        "owned_by": model.provider,
        "type": next((_TYPES[output] for output in outputs if output in _TYPES), "chat"),
        "dimensions": model.dimensions,
        "name": model.name,
        "description": describe(model),
        "context_length": model.context_window,
        "architecture": {
            "input_modalities": inputs,
            "output_modalities": outputs,
            "modality": f"{'+'.join(inputs)}->{'+'.join(outputs)}",
            "tokenizer": "Other",
            "instruct_type": None,
        },
        "pricing": _pricing(model.prices[0]) if model.prices else _unpriced(),
        "top_provider": {
            "context_length": model.context_window,
            "max_completion_tokens": model.output_limit,
            "is_moderated": False,
        },
        "per_request_limits": None,
        "supported_parameters": model.parameters,
        "canonical_slug": model.id,
        "default_parameters": None,
        "supported_voices": None,
        "links": {"details": f"/v1/models/{model.id}"},
        "deprecated": model.deprecated,
    }


def public_model_json(model: CatalogModel) -> dict[str, object]:
    """Return one entry of `/public/models`, as Lunos's client reads it: prices in USD for a million tokens."""
    rates = (model.prices[0].input, model.prices[0].output) if model.prices else (None, None)
    prices = {
        name: None if rate is None else float(rate) for name, rate in zip(("input", "output"), rates, strict=True)
    }
    return {
        "id": model.id,
        "name": model.name,
        "provider": model.provider,
        "description": describe(model),
        "parameters": {"context": model.context_window, "max_output_tokens": model.output_limit, "size": ""},
        "pricePerMillionTokens": prices if any(rate is not None for rate in rates) else None,
        "capabilities": [_CAPABILITIES[output] for output in _modalities(model.outputs) if output in _CAPABILITIES],
        "status": "deprecated" if model.deprecated else "available",
    }


def describe(model: CatalogModel) -> str:
    """Describe the model in one line, for people who choose one."""
    phrases = [
        "" if model.context_window is None else f"{model.context_window:,} tokens of context",
        "" if not model.inputs else f"reads {_enumerate(model.inputs)}",
        "" if set(model.outputs) <= {"text"} else f"makes {_enumerate(model.outputs)}",
        "reasons" if model.can_reason else "",
        "deprecated" if model.deprecated else "",
    ]
    return ", ".join([f"{model.name or model.id} by {model.provider}", *filter(None, phrases)])


def selected_model_json(model: CatalogModel) -> dict[str, object]:
    return {
        "id": model.id,
        "name": model.name,
        "provider": model.provider,
        "description": describe(model),
        "context_window": model.context_window,
        "available": not model.deprecated,
        "reasoning_model": model.can_reason,
    }


def _modalities(modalities_: tuple[str, ...]) -> tuple[str, ...]:
    """Return the modalities; unknown ones are text, because the models without them chat."""
    return modalities_ or ("text",)


def _pricing(price: Price) -> dict[str, str]:
    """Return prices of the default tier on the day of the check; caching and audio only with prices of their own."""
    prices = {
        "prompt": _price_text(price.input, 1_000_000, _UNKNOWN_PRICE),
        "completion": _price_text(price.output, 1_000_000, _UNKNOWN_PRICE),
        "request": _price_text(price.request, 1_000),
        "image": "0",
        "web_search": _price_text(price.search, 1_000),
        "internal_reasoning": _price_text(price.reasoning, 1_000_000),
    }
    optional = (("input_cache_read", price.cached), ("input_cache_write", price.written), ("audio", price.audio_input))
    return prices | {name: _price_text(rate, 1_000_000) for name, rate in optional if rate is not None}


def _unpriced() -> dict[str, str]:
    return {"prompt": _UNKNOWN_PRICE, "completion": _UNKNOWN_PRICE}


@exact_money
def _price_text(rate: Decimal | None, units: int, unknown: str = "0") -> str:
    return unknown if rate is None else plain_decimal(rate / units)


def _enumerate(names: tuple[str, ...]) -> str:
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last
