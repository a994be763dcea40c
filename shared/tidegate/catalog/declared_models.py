"""Reads the models that the operator declares for a provider, from the field `models` of `TIDEGATE_PROVIDERS`.

A model is its name, or an object `{name, aliases, context_window, output_limit, inputs, outputs, reasoning, parameters,
prices}`. Prices are in USD per million tokens: `{input, output, cached, …}`; `request` and `search` are in USD per
thousand. In `tiers`, each entry has the prices of calls whose input is longer than `above` tokens.
"""

import msgspec

from tidegate.catalog.row import DeclaredModel, Rates
from tidegate.errors import ConfigurationError
from tidegate.json import Json, JsonObject

_INPUTS = ("text", "image", "audio", "video", "file")
_OUTPUTS = ("text", "image", "audio", "embeddings", "rerank", "moderation")
_MAX_PRICE = 1_000_000_000
_RATES = Rates.__struct_fields__


def parse_models(entries: Json) -> tuple[DeclaredModel, ...]:
    """Parse the list. Raises `ConfigurationError` with the path of the first invalid field."""
    if not isinstance(entries, list) or not entries:
        raise ConfigurationError("models must be a list of names, or of objects with a name, and not be empty.")
    models = tuple(_parse_model(entry, f"models[{i}]") for i, entry in enumerate(entries))
    names = [name.lower() for model in models for name in (model.name, *model.aliases)]
    duplicates = sorted(name for name in set(names) if names.count(name) > 1)
    if duplicates:
        raise ConfigurationError(f"models: the name {duplicates[0]!r} is used twice.")
    return models


def _parse_model(entry: Json, path: str) -> DeclaredModel:
    if isinstance(entry, str):
        entry = {"name": entry}
    if not isinstance(entry, dict):
        raise ConfigurationError(f"{path} must be a name, or an object with a name.")
    _check_fields(entry, DeclaredModel.__struct_fields__, path)
    if "prices" in entry:
        _check_prices(entry["prices"], f"{path}.prices")
    try:
        model = msgspec.convert(entry, DeclaredModel)
    except msgspec.ValidationError as error:
        problem, _, subpath = str(error).partition(" - at `$")
        raise ConfigurationError(f"{path}{subpath.rstrip('`')}: {problem}.") from None
    for field, names in (("name", (model.name,)), ("aliases", model.aliases)):
        for name in names:
            _require(0 < len(name) <= 256 and name.isprintable() and name == name.strip(), f"{path}.{field}", _NAME)
    for field in ("context_window", "output_limit"):
        value: int | None = getattr(model, field)
        _require(value is None or value > 0, f"{path}.{field}", "it must be a positive number of tokens")
    for field, kinds, known in (("inputs", model.inputs, _INPUTS), ("outputs", model.outputs, _OUTPUTS)):
        _require(set(kinds) <= set(known), f"{path}.{field}", f"choose from {', '.join(known)}")
    return model


_NAME = "a name must have 1 to 256 printable characters, without spaces around it"


def _check_prices(prices: Json, path: str) -> None:
    _check_rates(prices, (*_RATES, "tiers"), path)
    match prices:
        case {"tiers": list(tiers)}:
            for i, tier in enumerate(tiers):
                _check_rates(tier, (*_RATES, "above"), f"{path}.tiers[{i}]")
                above = tier.get("above") if isinstance(tier, dict) else None
                is_positive = isinstance(above, int) and above > 0
                _require(is_positive, f"{path}.tiers[{i}].above", "it must be a positive number of tokens")
        case _:
            pass


def _check_rates(rates: Json, fields: tuple[str, ...], path: str) -> None:
    if not isinstance(rates, dict):
        raise ConfigurationError(f"{path}: it must be an object such as {{'input': 0.2, 'output': 0.8}}.")
    _check_fields(rates, fields, path)
    for name in _RATES:
        value = rates.get(name)
        is_price = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < _MAX_PRICE
        message = f"it must be a number of USD per {'thousand' if name in ('request', 'search') else 'million tokens'}"
        _require(name not in rates or is_price, f"{path}.{name}", message)
    for name in ("input", "output"):
        _require(name in rates, f"{path}.{name}", "prices need input and output, in USD per million tokens")


def _check_fields(entry: JsonObject, fields: tuple[str, ...], path: str) -> None:
    unknown = sorted(entry.keys() - set(fields))
    if unknown:
        raise ConfigurationError(f"{path}: unknown field {unknown[0]!r}; the fields are {', '.join(fields)}.")


def _require(condition: object, path: str, message: str) -> None:
    if not condition:
        raise ConfigurationError(f"{path}: {message}.")
