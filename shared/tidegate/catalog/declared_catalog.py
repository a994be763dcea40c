"""The catalogue with the models that the operator declares. Loaded only if there are some."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date

from msgspec.structs import replace

from tidegate.catalog.models import Catalog
from tidegate.catalog.names import canonical_model_id
from tidegate.catalog.options import with_options
from tidegate.catalog.row import CatalogModel, DeclaredModel

SOURCE = "TIDEGATE_PROVIDERS"
_NEVER = date(1970, 1, 1)


class DeclaredCatalog(Catalog):
    """Finds declared models by `provider/model`, in the provider's name or an alias, before those of `catalog`.

    `declared` are the models of each provider. Names are found without regard to case.
    """

    def __init__(self, catalog: Catalog, declared: Mapping[str, Sequence[DeclaredModel]]) -> None:
        # The rows are shared, and so are the caches of searches in them. No file is decoded.
        self.__dict__.update(catalog.__dict__)
        self._catalog = catalog
        self._declared: dict[str, CatalogModel] = {}
        self._providers_by_name: dict[str, list[str]] = {}
        for provider, models in sorted(declared.items()):
            for model in models:
                row = _declared_row(catalog, provider, model)
                for name in (model.name, *model.aliases):
                    self._declared[f"{provider}/{name}".lower()] = row
                    self._providers_by_name.setdefault(name.lower(), []).append(provider)
        rows = {row.id: row for row in self._declared.values()}
        self._declared_rows = tuple(rows[model_id] for model_id in sorted(rows))

    def __iter__(self) -> Iterator[CatalogModel]:
        """Every model, sorted by id. Decodes all rows, which takes 12 ms: store the result."""
        lower_ids = {row.id.lower() for row in self._declared_rows}
        others = (row for row in self._catalog if row.id.lower() not in lower_ids)
        return iter(sorted((*self._declared_rows, *others), key=lambda row: row.id))

    def __len__(self) -> int:
        return len(self.ids())

    def ids(self) -> tuple[str, ...]:
        lower_ids = {row.id.lower() for row in self._declared_rows}
        others = (model_id for model_id in self._catalog.ids() if model_id.lower() not in lower_ids)
        return tuple(sorted((*(row.id for row in self._declared_rows), *others)))

    def declared(self) -> Sequence[CatalogModel]:
        return self._declared_rows

    def providers_declaring(self, name: str) -> Sequence[str]:
        return self._providers_by_name.get(name.lower(), ())

    def declared_output_limit(self, model_id: str) -> int | None:
        row = self._declared.get(model_id.lower())
        return None if row is None else row.output_limit

    def find_model(self, model_id: str, options: Sequence[str] = ()) -> CatalogModel | None:
        row = self._declared.get(model_id.lower()) or self._declared.get(canonical_model_id(model_id))
        if row is None:
            return self._catalog.find_model(model_id, options)
        return with_options(row, options) if options else row

    def official_name(self, provider: str, name: str) -> str:
        row = self._declared.get(f"{provider}/{name}".lower())
        return self._catalog.official_name(provider, name) if row is None else row.id.partition("/")[2]


def _declared_row(catalog: Catalog, provider: str, model: DeclaredModel) -> CatalogModel:
    """Return the model's row: the declared fields, and for the others those of the provider's row in the catalogue.

    Prices of service tiers and the like are those of the catalogue.
    """
    model_id = f"{provider}/{model.name}"
    known = catalog.find_model(model_id) or CatalogModel(model_id, model.name, SOURCE, _NEVER)
    # The catalogue may have found the row by a rule or another spelling.
    is_same_name = known.id.lower() == model_id.lower()
    return replace(
        known,
        id=model_id,
        name=known.name if is_same_name else model.name,
        context_window=model.context_window or known.context_window,
        output_limit=model.output_limit or known.output_limit,
        inputs=model.inputs or known.inputs,
        outputs=model.outputs or known.outputs,
        reasoning=model.reasoning or known.reasoning,
        parameters=model.parameters or known.parameters,
        prices=known.prices if model.prices is None else (model.prices,),
    )
