"""CSV for spreadsheets.

Source: https://owasp.org/www-community/attacks/CSV_Injection (2026-11): what a spreadsheet can take for a formula.
"""

import csv
import io
from collections.abc import Iterable, Sequence

_FORMULA_BEGINNINGS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""The last four are = + - @ of double width, which spreadsheets in East Asia read like the others."""


def to_csv(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Write rows with a header. Text that a spreadsheet would take for a formula gets a leading quote."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(header)
    writer.writerows([_safe(value) for value in row] for row in rows)
    return text.getvalue()


def _safe(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value[:1] in _FORMULA_BEGINNINGS else value
