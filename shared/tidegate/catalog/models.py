"""The catalogue of models in `models.json`, and the search for a model's row.

`infra/catalog.py` writes the file. Rows are decoded on first use: decoding all of them would cost every cold start
12 ms.
"""

import re
from collections.abc import Iterator, Sequence
from datetime import date
from functools import lru_cache

import msgspec
from msgspec import Raw, Struct
from msgspec.structs import replace

from tidegate.catalog.names import canonical_model_id, matches_clause, with_dashed_dates
from tidegate.catalog.row import CatalogModel
from tidegate.lazy import load

MODEL_MAKERS = (
    *("openai", "anthropic", "gemini", "mistral", "deepseek", "xai", "cohere", "moonshot", "zai", "perplexity"),
)
"""Providers of their own models, in the order in which a name without a provider is searched."""


class _ProviderRules(Struct, frozen=True):
    """Each rule is [row, clause, …]; the first with a matching clause wins. `falls_back`: providers to search next."""

    source: str
    checked: date
    rules: tuple[tuple[str, ...], ...] = ()
    falls_back: tuple[str, ...] = ()


class _CatalogFile(Struct, frozen=True):
    """The file. A row refers to one of the lists in `parameters` by name, because many models share a list.

    `aliases` are, for each provider, expressions for whole names and the provider's own names for these models.
    """

    aliases: dict[str, tuple[tuple[str, str], ...]]
    parameters: dict[str, tuple[str, ...]]
    providers: dict[str, Raw]
    models: dict[str, Raw]


class Catalog:
    """Every known model by `provider/model`, without regard to case. Immutable."""

    def __init__(self, data: bytes) -> None:
        file = msgspec.json.decode(data, type=_CatalogFile)
        self._aliases = file.aliases
        self._rows = file.models
        self._parameters = file.parameters
        self._providers = file.providers
        self._ids = {model_id.lower(): model_id for model_id in file.models}
        self._find_cached = lru_cache(maxsize=512)(self._look_up)
        self._official_cached = lru_cache(maxsize=512)(self._look_up_official)
        self._rules_of = lru_cache(maxsize=64)(self._decode_provider)

    def __iter__(self) -> Iterator[CatalogModel]:
        """Every model, sorted by id. Decodes all rows, which takes 12 ms: store the result."""
        return (self._decode_model(model_id) for model_id in self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    def ids(self) -> tuple[str, ...]:
        """The ids of all models, sorted, without decoding rows."""
        return tuple(self._rows)

    def declared(self) -> Sequence[CatalogModel]:
        """The models that the operator declared, sorted by id."""
        return ()

    def providers_declaring(self, name: str) -> Sequence[str]:
        """The providers for which the operator declared a model with this name or alias, sorted."""
        return ()

    def declared_output_limit(self, model_id: str) -> int | None:
        """The longest answer in tokens of a model that the operator declared; None for other models."""
        return None

    def find_model(self, model_id: str, options: Sequence[str] = ()) -> CatalogModel | None:
        """The row of `provider/model`, by its name, the rules of its provider or another spelling; None if unknown.

        `openai/gpt-4o-2024-08-06` finds the row `openai/gpt-4o`, `google/…` finds `gemini/…`, and `gemini/models/…`
        finds `gemini/…`. For OpenRouter's `…:online` the row has the price of its search. `options` are
        `price_options` of a call: the row has the prices for them.
        """
        found = self._find_cached(canonical_model_id(model_id))
        return load("tidegate.catalog.options", "with_options")(found, options) if found and options else found

    def resolve_bare_name(self, bare_id: str) -> str | None:
        """`provider/model` for a name without a provider: at the model's maker, or else at its only host.

        None if no provider has the name, or several hosts share it. Clients such as LiteLLM's SDK send `openai/gpt-4o`
        as `gpt-4o`.
        """
        name = bare_id.lower()
        if "/" not in name:
            for maker in MODEL_MAKERS:
                if self._row_id(maker, name) is not None:
                    return f"{maker}/{bare_id}"
        hosts = [model_id for lower, model_id in self._ids.items() if lower.partition("/")[2] == name]
        return hosts[0] if len(hosts) == 1 else None

    def official_name(self, provider: str, name: str) -> str:
        """The provider's own name for a model: `claude-opus-4-0` for `claude-4-opus`. An unknown name is returned."""
        return self._official_cached(provider, name) if provider in self._aliases else name

    def _look_up_official(self, provider: str, name: str) -> str:
        for pattern, official in self._aliases[provider]:
            found = re.fullmatch(pattern, name, re.IGNORECASE)
            if found is not None:
                return found.expand(official).lower()
        return name

    def _look_up(self, model_id: str) -> CatalogModel | None:
        found = self._look_up_exactly(model_id)
        if found is None:
            find_by_other_name = load("tidegate.catalog.other_names", "find_by_other_name")
            return find_by_other_name(model_id, self._look_up_exactly, self._ids)
        return found

    def _look_up_exactly(self, model_id: str) -> CatalogModel | None:
        provider, _, name = model_id.partition("/")
        row_id = self._row_id(provider, name)
        if row_id is None:
            return None
        row = self._decode_model(row_id)
        # The prices of options are only those of the provider that has the row.
        return row if row.provider == provider else replace(row, variants={}, factors={})

    def _row_id(self, provider: str, name: str) -> str | None:
        if provider not in self._providers:
            return None
        return self._follow_rules(provider, name) or self._follow_rules(provider, with_dashed_dates(name))

    def _follow_rules(self, provider: str, name: str) -> str | None:
        for candidate in (provider, *self._rules_of(provider).falls_back):
            exact = self._ids.get(f"{candidate}/{name}")
            if exact is not None:
                return exact
            for row, *clauses in self._rules_of(candidate).rules:
                if any(matches_clause(clause, name) for clause in clauses):
                    return f"{candidate}/{row}"
        return None

    def _decode_provider(self, provider: str) -> _ProviderRules:
        return msgspec.json.decode(self._providers[provider], type=_ProviderRules)

    def _decode_model(self, model_id: str) -> CatalogModel:
        maker, _, name = model_id.partition("/")
        provider = self._rules_of(maker)
        row = msgspec.json.decode(self._rows[model_id], type=dict[str, object])
        identity = {"id": model_id, "name": name, "source": provider.source, "checked": provider.checked}
        parameters = self._parameters.get(str(row.pop("parameters", "")), ())
        return msgspec.convert(identity | row | {"parameters": parameters}, CatalogModel)


@lru_cache(maxsize=1)
def load_catalog() -> Catalog:
    """The catalogue in `models.json`, read once in each process."""
    path = __file__.removesuffix("models.py") + "models.json"
    # `pathlib` would be loaded for this alone, and takes 1.5 ms of a cold start.
    with open(path, "rb") as file:  # noqa: PTH123
        return Catalog(file.read())
