"""Providers that speak OpenAI's dialect: one row each."""

from tidegate.providers.dialect.quirks import Quirks
from tidegate.providers.row import Row

_ROWS = (Row("openai", "https://api.openai.com/v1", "OPENAI_API_KEY", Quirks(developer_role=True)),)

ROWS: dict[str, Row] = {row.name: row for row in _ROWS}
