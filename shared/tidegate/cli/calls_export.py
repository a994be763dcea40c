"""`tidegate calls export`: all calls of a range, the newest first, as JSON lines or CSV. It can be continued."""

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import TextIO

from tidegate.cli.calls_client import MAX_PAGE, CallsClient
from tidegate.cli.calls_filters import filters_of, range_query
from tidegate.cli.server_client import RequestFailed
from tidegate.errors import ConfigurationError

_DAY_SECONDS = 86_400.0

Page = tuple[str, int, str | None]
"""Lines, how many calls are in them, and the cursor to the next page."""


def export_calls(options: argparse.Namespace, client: CallsClient, clock: Callable[[], float] = time.time) -> int:
    """Write the calls of a range, by default of the last 24 hours. Raises `ConfigurationError` and `RequestFailed`.

    An export that stops names the cursor with which it goes on.
    """
    until = clock() if options.until is None else options.until
    since = until - _DAY_SECONDS if options.since is None else options.since
    query = {**filters_of(options), **range_query(since, until)}
    pages = _csv_pages if options.format == "csv" and not options.json else _json_pages
    cursor, number = options.cursor, 0
    try:
        with _open(options.output, is_continued=cursor is not None) as file:
            for lines, calls, next_cursor in pages(client, query, cursor):
                file.write(lines)
                file.flush()
                number, cursor = number + calls, next_cursor
    except OSError as error:
        if isinstance(error, BrokenPipeError) and options.output is None:
            raise
        raise ConfigurationError(f"Cannot write {options.output}: {error.strerror}.") from None
    except (RequestFailed, KeyboardInterrupt):
        if cursor is not None:
            print(f"tidegate: {number:,} calls are written. {_advice(query, cursor)}", file=sys.stderr)
        raise
    print(f"tidegate: {number:,} calls are written.", file=sys.stderr)
    return 0


def _json_pages(client: CallsClient, query: Mapping[str, str], cursor: str | None) -> Iterator[Page]:
    while True:
        page = client.calls({**query, "limit": str(MAX_PAGE), **_after(cursor)})
        data, next_cursor = page.get("data"), page.get("next_cursor")
        calls = data if isinstance(data, list) else []
        cursor = next_cursor if isinstance(next_cursor, str) else None
        yield "".join(f"{json.dumps(call, ensure_ascii=False)}\n" for call in calls), len(calls), cursor
        if cursor is None:
            return


def _csv_pages(client: CallsClient, query: Mapping[str, str], cursor: str | None) -> Iterator[Page]:
    while True:
        text, next_cursor = client.calls_as_csv({**query, **_after(cursor)})
        head, _, rows = text.replace("\r\n", "\n").partition("\n")
        yield (rows if cursor else f"{head}\n{rows}"), rows.count("\n"), next_cursor
        cursor = next_cursor
        if cursor is None:
            return


def _after(cursor: str | None) -> dict[str, str]:
    return {"cursor": cursor} if cursor else {}


def _open(path: str | None, *, is_continued: bool) -> "nullcontext[TextIO] | TextIO":
    if path is None:
        return nullcontext(sys.stdout)
    return Path(path).open("a" if is_continued else "w", encoding="utf-8", newline="")


def _advice(query: Mapping[str, str], cursor: str) -> str:
    return f"To go on: the same command with --from {query['from']} --to {query['to']} --cursor {cursor}"
