"""Requests about calls to the API of the dashboard, and the calls of a replay to the gateway."""

import re
from collections.abc import Generator, Mapping
from contextlib import contextmanager

import httpx

from tidegate.cli.server_access import ServerAccess
from tidegate.cli.server_client import RequestFailed, ServerClient, failures, refusal
from tidegate.json import JsonObject

MAX_PAGE = 200
"""Calls of a page of the call log."""

_ULID = re.compile("[0-9A-HJKMNP-TV-Z]{26}")


class CallsClient(ServerClient):
    """A connection to the gateway and to its dashboard's API, closed when its context is left.

    `console_url` is the dashboard's URL if it is at another host. All methods raise `RequestFailed`.
    """

    def __init__(
        self, access: ServerAccess, console_url: str | None = None, transport: httpx.BaseTransport | None = None
    ) -> None:
        super().__init__(access, transport)
        self.key = access.key
        self.root = access.base_url.removesuffix("/v1")
        self._console = (console_url or self.root).partition("/console")[0].rstrip("/") + "/console/v1"
        self._workspace = {"workspace": access.workspace_id} if access.workspace_id else {}

    def calls(self, query: Mapping[str, str]) -> JsonObject:
        """Return a page of calls, the newest first."""
        return self._get("/calls", query)

    def calls_as_csv(self, query: Mapping[str, str]) -> tuple[str, str | None]:
        """Return calls as CSV with a header, and the cursor to those that did not fit in."""
        reply = self.request("GET", f"{self._console}/calls.csv", params={**self._workspace, **query})
        if reply.status_code >= 300:
            raise self._explained(refusal(reply))
        return reply.text, reply.headers.get("x-next-cursor")

    def call(self, call_id: str, *, with_content: bool) -> JsonObject:
        """Return a call by its id or by the id of its reply: record, timeline, cost, and its trace if asked for.

        An admin key that reads a trace leaves an audit entry.
        """
        found = _ULID.search(call_id)
        path = f"/calls/{found[0] if found else _quoted(call_id)}"
        return self._get(path, {} if with_content else {"trace": "false"})

    def reprice(self, query: Mapping[str, str | list[str]]) -> JsonObject:
        """Return what the calls of a range would have cost on other models."""
        return self._get("/reprice", query)

    @contextmanager
    def send(self, path: str, body: JsonObject, workspace_id: str) -> Generator[httpx.Response]:
        """Make a call, and yield its reply, whose content is not read yet."""
        headers = {"x-workspace-id": workspace_id, "accept-encoding": "identity"}
        with (
            failures(self.base_url),
            self.http.stream("POST", f"{self.root}{path}", json=body, headers=headers, timeout=900.0) as reply,
        ):
            yield reply

    def _get(self, path: str, query: Mapping[str, str | list[str]]) -> JsonObject:
        reply = self.request("GET", f"{self._console}{path}", params={**self._workspace, **query})
        try:
            return self.json(reply)
        except RequestFailed as error:
            raise self._explained(error) from None

    def _explained(self, error: RequestFailed) -> RequestFailed:
        """Say where the dashboard's API is looked for, if there is something else at this URL."""
        is_elsewhere = error.code is None or "No such endpoint" in error.message
        if error.status not in (403, 404, 405) or not is_elsewhere:
            return error
        hint = "Name the dashboard's URL with --console-url, or set TIDEGATE_CONSOLE_URL."
        return RequestFailed(f"There is no dashboard at {self._console}. {hint}", error.status)


def _quoted(text: str) -> str:
    return re.sub("[^0-9A-Za-z_-]", "_", text) or "_"
