"""The catalogue: `models.json`, and how a name finds its row in it.

`infra/catalog.py` writes the file. Rows are decoded when they are asked for: loading them all would cost every cold
start 12 ms.
"""

from collections.abc import Iterator
from datetime import date
from functools import lru_cache
from pathlib import Path

import msgspec
from msgspec import Raw, Struct

from tidegate.catalog.names import canonical, dashed, matches, similar
from tidegate.catalog.row import Model

MAKERS = ("openai", "anthropic", "gemini", "mistral", "deepseek", "xai", "cohere", "moonshot", "zai", "perplexity")
"""Providers of models of their own, in the order in which a bare name is looked for."""


class _Provider(Struct, frozen=True):
    """Rules are [row, clause, …]: the first row with a matching clause wins. Then come the rules of `falls_back`."""

    source: str
    checked: date
    rules: tuple[tuple[str, ...], ...] = ()
    falls_back: tuple[str, ...] = ()


class _File(Struct, frozen=True):
    """Rows name their `parameters`: few lists serve all models."""

    parameters: dict[str, tuple[str, ...]]
    providers: dict[str, Raw]
    models: dict[str, Raw]


class Catalog:
    """Every known model, by `provider/model`; upper and lower case are the same. It never changes."""

    def __init__(self, data: bytes) -> None:
        file = msgspec.json.decode(data, type=_File)
        self._rows = file.models
        self._parameters = file.parameters
        self._providers = file.providers
        self._ids = {model_id.lower(): model_id for model_id in file.models}
        self._find = lru_cache(maxsize=512)(self._look_up)
        self._provider = lru_cache(maxsize=64)(self._decode_provider)

    def __iter__(self) -> Iterator[Model]:
        """Every model, by id. Decodes all of them, which takes 12 ms: keep what you make of it."""
        return (self._decode_model(model_id) for model_id in self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    def ids(self) -> tuple[str, ...]:
        """The id of every model, sorted. Decodes none."""
        return tuple(self._rows)

    def find(self, model_id: str) -> Model | None:
        """The row for `provider/model`: that of this name, or else the one to which its provider's rules lead.

        `openai/gpt-4o-2024-08-06` finds the row `openai/gpt-4o`, and `google/…` finds `gemini/…`.
        """
        return self._find(canonical(model_id))

    def resolve(self, bare_id: str) -> str | None:
        """`provider/model` for a model's name alone: its maker's if a maker serves it, else that of its only host.

        None for a name that no provider has, or that several hosts share. Source of the need: clients such as
        LiteLLM's SDK send `openai/gpt-4o` as `gpt-4o`.
        """
        name = bare_id.lower()
        if "/" not in name:
            for maker in MAKERS:
                if self._row(maker, name) is not None:
                    return f"{maker}/{bare_id}"
        hosts = [model_id for lower, model_id in self._ids.items() if lower.partition("/")[2] == name]
        return hosts[0] if len(hosts) == 1 else None

    def nearest(self, model_id: str, limit: int = 3) -> list[str]:
        """The ids that resemble it most, for an error message. Takes 10 ms."""
        return [self._ids[found] for found in similar(canonical(model_id), self._ids, limit)]

    def _look_up(self, model_id: str) -> Model | None:
        provider, _, name = model_id.partition("/")
        row = self._row(provider, name)
        return None if row is None else self._decode_model(row)

    def _row(self, provider: str, name: str) -> str | None:
        if provider not in self._providers:
            return None
        return self._follow(provider, name) or self._follow(provider, dashed(name))

    def _follow(self, provider: str, name: str) -> str | None:
        for candidate in (provider, *self._provider(provider).falls_back):
            exact = self._ids.get(f"{candidate}/{name}")
            if exact is not None:
                return exact
            for row, *clauses in self._provider(candidate).rules:
                if any(matches(clause, name) for clause in clauses):
                    return f"{candidate}/{row}"
        return None

    def _decode_provider(self, provider: str) -> _Provider:
        return msgspec.json.decode(self._providers[provider], type=_Provider)

    def _decode_model(self, model_id: str) -> Model:
        maker, _, name = model_id.partition("/")
        provider = self._provider(maker)
        row = msgspec.json.decode(self._rows[model_id], type=dict[str, object])
        known = {"id": model_id, "name": name, "source": provider.source, "checked": provider.checked}
        parameters = self._parameters.get(str(row.pop("parameters", "")), ())
        return msgspec.convert(known | row | {"parameters": parameters}, Model)


@lru_cache(maxsize=1)
def load() -> Catalog:
    """The catalogue as it was checked in, read once for each process."""
    return Catalog((Path(__file__).parent / "models.json").read_bytes())
