"""`tidegate calls tail`: calls as they end, one line each, until Ctrl-C."""

import argparse
import json
import sys
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence

from tidegate.cli.calls_client import MAX_PAGE, CallsClient
from tidegate.cli.calls_filters import filters_of
from tidegate.cli.calls_text import call_line
from tidegate.cli.server_client import RequestFailed
from tidegate.domain.ids import min_ulid
from tidegate.json import JsonObject

POLL_SECONDS, LONGEST_PAUSE_SECONDS = 1.0, 15.0

_LATE_SECONDS = 5.0
"""Calls are on record in another order than they end. So what is asked for begins this long before the newest one."""

_MAX_KNOWN = 5_000
"""Ids of calls that are remembered, so that none is shown twice."""

_CLOCK_SECONDS = 60.0
"""How far this machine's clock may be ahead of the gateway's."""


def tail_calls(options: argparse.Namespace, client: CallsClient) -> int:
    """Print the last calls, and then each that ends, until Ctrl-C."""
    for record in Tail(client, filters_of(options), options.lines).records():
        print(json.dumps(record, ensure_ascii=False) if options.json else call_line(record), flush=True)
    return 0


class Tail:
    """Asks for new calls, again and again; `sleep` and `clock` are those of the process."""

    def __init__(
        self,
        client: CallsClient,
        filters: Mapping[str, str],
        lines: int,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._client, self._filters, self._lines = client, dict(filters), lines
        self._sleep, self._clock = sleep, clock
        self._known: OrderedDict[str, float] = OrderedDict()
        self._is_away = False

    def records(self) -> Iterator[JsonObject]:
        """Yield calls, the oldest first, without end. Raises `RequestFailed` for what does not pass."""
        after = self._newest_id() or min_ulid(self._clock() - _CLOCK_SECONDS)
        earlier = self._page({"limit": str(max(1, min(self._lines, MAX_PAGE)))})
        yield from self._new(earlier[: self._lines])
        self._remember(earlier)
        while True:
            page = self._ended_since(after)
            if len(page) == MAX_PAGE:
                _say(f"{MAX_PAGE} calls or more have ended at once: some may be missing here.")
            yield from self._new(page)
            after = self._settled_id(after)
            self._sleep(POLL_SECONDS)

    def _ended_since(self, call_id: str) -> Sequence[JsonObject]:
        """Return the calls that have ended since a call. Waits while the server does not answer."""
        pause = POLL_SECONDS
        while True:
            try:
                page = self._page({"after": call_id, "limit": str(MAX_PAGE)})
            except RequestFailed as error:
                if not error.may_pass:
                    raise
                if not self._is_away:
                    _say(f"{error.message} Trying again until it answers …")
                self._is_away = True
                self._sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
            else:
                if self._is_away:
                    _say("The server answers again.")
                self._is_away = False
                return page

    def _page(self, query: Mapping[str, str]) -> list[JsonObject]:
        """Return calls, the oldest first."""
        data = self._client.calls({**self._filters, **query}).get("data")
        return [each for each in reversed(data) if isinstance(each, dict)] if isinstance(data, list) else []

    def _newest_id(self) -> str | None:
        data = self._client.calls({"limit": "1"}).get("data")
        match data:
            case [{"id": str(call_id)}, *_]:
                return call_id
            case _:
                return None

    def _new(self, page: Sequence[JsonObject]) -> Iterator[JsonObject]:
        for record in page:
            if str(record.get("id")) not in self._known:
                yield record
        self._remember(page)

    def _remember(self, page: Sequence[JsonObject]) -> None:
        for record in page:
            self._known.setdefault(str(record.get("id")), self._clock())
        while len(self._known) > _MAX_KNOWN:
            self._known.popitem(last=False)

    def _settled_id(self, before: str) -> str:
        """Return the newest id that was known `_LATE_SECONDS` ago."""
        settled = [call_id for call_id, at in self._known.items() if self._clock() - at >= _LATE_SECONDS]
        return max([before, *settled])


def _say(text: str) -> None:
    print(f"tidegate: {text}", file=sys.stderr)
