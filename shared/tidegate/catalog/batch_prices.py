"""The catalogue with the prices of providers' batch APIs. Loaded only for batches that use one."""

from collections.abc import Sequence
from decimal import Decimal

from msgspec.structs import replace

from tidegate.catalog.models import Catalog
from tidegate.catalog.options import with_options
from tidegate.catalog.row import CatalogModel

BATCH = "processing=batch"
"""The option of a price, in `variants` and `factors`, of lines that a provider's batch API answers."""

_TIERS = ("service_tier=", "speed=")


_AZURE_FACTOR = Decimal("0.5")
"""The price of OpenAI's models in Azure's batches, whose rows are OpenAI's: 50 % less than global standard.

Source: https://learn.microsoft.com/en-us/azure/ai-foundry/openai/how-to/batch (read 2026-11)
"""


class BatchCatalog(Catalog):
    """Finds models with their price in a batch, which no service tier changes; those of `catalog` without one.

    `has_batch_price` tells whether one is known.
    """

    def __init__(self, catalog: Catalog) -> None:
        # The rows are shared, and so are the caches of searches in them. No file is decoded.
        self.__dict__.update(catalog.__dict__)
        self._live_catalog = catalog

    def has_batch_price(self, model_id: str) -> bool:
        """True if it is known what the provider charges for the model in a batch."""
        row = self._row(model_id)
        return row is not None and bool(row.prices) and (BATCH in row.variants or BATCH in row.factors)

    def find_model(self, model_id: str, options: Sequence[str] = ()) -> CatalogModel | None:
        row = self._row(model_id)
        others = [option for option in options if not option.startswith(_TIERS)]
        return None if row is None else with_options(row, [BATCH, *others])

    def _row(self, model_id: str) -> CatalogModel | None:
        row = self._live_catalog.find_model(model_id)
        is_azures = row is not None and row.provider == "openai" and model_id.startswith("azure/")
        return replace(row, factors={BATCH: _AZURE_FACTOR}) if row is not None and is_azures else row
