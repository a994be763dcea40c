"""Models on the wire: OpenAI's object with the fields that OpenRouter's clients read, and neuroflash's.

Source: https://platform.openai.com/docs/api-reference/models/object and
https://openrouter.ai/docs/api-reference/models/get-models (2026-11).
"""

from calendar import timegm
from collections.abc import Iterable, Iterator
from decimal import Decimal
from functools import lru_cache

from msgspec import Struct

from tidegate.catalog import Catalog, Model
from tidegate.catalog.row import Price
from tidegate.domain.record import plain
from tidegate.errors import InvalidRequest
from tidegate.json import encode

INPUTS = ("text", "image", "audio", "video", "file")
OUTPUTS = ("text", "image", "audio")

_UNKNOWN_PRICE = "-1"
"""OpenRouter's word for a price that cannot be told beforehand; its clients want a number in a string."""


class Filter(Struct, frozen=True):
    """Models that take all of `inputs` and give all of `outputs`."""

    inputs: frozenset[str] = frozenset()
    outputs: frozenset[str] = frozenset()

    def accepts(self, model: Model) -> bool:
        return self.inputs <= set(_modalities(model.inputs)) and self.outputs <= set(_modalities(model.outputs))


def modalities(asked: Iterable[str], known: tuple[str, ...], param: str) -> frozenset[str]:
    """The names in comma-separated lists. Raises `InvalidRequest` for one that no model has."""
    named = [name for listed in asked for name in listed.split(",")]
    for name in named:
        if name not in known:
            raise InvalidRequest(f"No model has the modality {name!r}: choose from {', '.join(known)}.", param=param)
    return frozenset(named)


def openrouter(catalog: Catalog, ready: frozenset[str], wanted: Filter, first: bytes = b"[]") -> bytes:
    """The list of those providers' models that the filter accepts, as JSON, behind the entries of the list `first`.

    The whole list is rendered only once.
    """
    if wanted == Filter():
        models = _whole(catalog, ready)
    else:
        models = encode([wire(model) for model in _of(catalog, ready) if wanted.accepts(model)])
    return b'{"object":"list","data":' + _joined(first, models) + b"}"


@lru_cache(maxsize=1)
def _whole(catalog: Catalog, ready: frozenset[str]) -> bytes:
    return encode([wire(model) for model in _of(catalog, ready)])


def selection(catalog: Catalog, ready: frozenset[str], first: bytes = b"[]") -> bytes:
    """neuroflash's bare list, as JSON, behind the entries of the list `first`."""
    return _joined(first, _selection(catalog, ready))


@lru_cache(maxsize=1)
def _selection(catalog: Catalog, ready: frozenset[str]) -> bytes:
    return encode([_selected(model) for model in _of(catalog, ready)])


def _joined(first: bytes, second: bytes) -> bytes:
    """Two lists in JSON as one."""
    if first == b"[]":
        return second
    return first if second == b"[]" else first[:-1] + b"," + second[1:]


def _of(catalog: Catalog, ready: frozenset[str]) -> Iterator[Model]:
    return (model for model in catalog if model.provider in ready)


def wire(model: Model) -> dict[str, object]:
    """One model. Prices are in USD for one token, one request or one search."""
    inputs, outputs = _modalities(model.inputs), _modalities(model.outputs)
    return {
        "id": model.id,
        "object": "model",
        "created": timegm(model.checked.timetuple()),
        "owned_by": model.provider,
        "name": model.name,
        "description": describe(model),
        "context_length": model.context_window,
        "architecture": {
            "input_modalities": inputs,
            "output_modalities": outputs,
            "modality": f"{'+'.join(inputs)}->{'+'.join(outputs)}",
            "tokenizer": None,
            "instruct_type": None,
        },
        "pricing": _pricing(model.prices[0]) if model.prices else _unpriced(),
        "top_provider": {
            "context_length": model.context_window,
            "max_completion_tokens": model.output_limit,
            "is_moderated": None,
        },
        "per_request_limits": None,
        "supported_parameters": model.parameters,
        "deprecated": model.deprecated,
    }


def describe(model: Model) -> str:
    """A sentence for people who choose."""
    known = [
        "" if model.context_window is None else f"{model.context_window:,} tokens of context",
        "" if not model.inputs else f"reads {_and(model.inputs)}",
        "" if set(model.outputs) <= {"text"} else f"makes {_and(model.outputs)}",
        "reasons" if model.reasons else "",
        "deprecated" if model.deprecated else "",
    ]
    return ", ".join([f"{model.name or model.id} by {model.provider}", *filter(None, known)])


def _selected(model: Model) -> dict[str, object]:
    return {
        "id": model.id,
        "name": model.name,
        "provider": model.provider,
        "description": describe(model),
        "context_window": model.context_window,
        "available": not model.deprecated,
        "reasoning_model": model.reasons,
    }


def _modalities(known: tuple[str, ...]) -> tuple[str, ...]:
    """All models of the catalogue chat: where no more is known, they read and write text."""
    return known or ("text",)


def _pricing(price: Price) -> dict[str, str]:
    """Of the default tier on the day of the check. Caching is priced only where it has a price of its own."""
    found = {
        "prompt": _each(price.input, 1_000_000, _UNKNOWN_PRICE),
        "completion": _each(price.output, 1_000_000, _UNKNOWN_PRICE),
        "request": _each(price.request, 1_000),
        "image": "0",
        "web_search": _each(price.search, 1_000),
        "internal_reasoning": _each(price.reasoning, 1_000_000),
    }
    own = (("input_cache_read", price.cached), ("input_cache_write", price.written), ("audio", price.audio_input))
    return found | {name: _each(rate, 1_000_000) for name, rate in own if rate is not None}


def _unpriced() -> dict[str, str]:
    return {"prompt": _UNKNOWN_PRICE, "completion": _UNKNOWN_PRICE}


def _each(rate: Decimal | None, units: int, unknown: str = "0") -> str:
    return unknown if rate is None else plain(rate / units)


def _and(names: tuple[str, ...]) -> str:
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last
