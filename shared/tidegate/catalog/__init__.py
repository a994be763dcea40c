"""Models and prices as data, each with its source and the date it was checked."""

from tidegate.catalog.models import Catalog, Model, load
from tidegate.catalog.prices import cost

__all__ = ["Catalog", "Model", "cost", "load"]
