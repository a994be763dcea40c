"""Models and prices as data, each with its source and the date it was checked."""

from tidegate.catalog.models import Catalog, CatalogModel, load_catalog
from tidegate.catalog.prices import call_cost

__all__ = ["Catalog", "CatalogModel", "call_cost", "load_catalog"]
