"""HTTP requests of a command to a gateway: one connection, and one kind of error that says what to do."""

import json
from collections.abc import Generator
from contextlib import contextmanager
from types import TracebackType
from typing import Self, cast

import httpx

from tidegate.cli.server_access import ServerAccess
from tidegate.errors import TidegateError
from tidegate.json import JsonObject

TIMEOUT = httpx.Timeout(60.0, connect=5.0)
"""To write a part of a large file, or to wait for an answer, takes a minute at most."""


class RequestFailed(TidegateError):
    """The gateway refused a request, with its status; or it did not answer, with the status 0."""

    def __init__(self, message: str, status: int = 0, code: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code

    @property
    def may_pass(self) -> bool:
        """True if the same request may succeed soon."""
        return self.status == 0 or self.status == 429 or self.status >= 500


class ServerClient:
    """A connection to the gateway, closed when its context is left. All methods raise `RequestFailed`."""

    def __init__(self, access: ServerAccess, transport: httpx.BaseTransport | None = None) -> None:
        headers = {"authorization": f"Bearer {access.key}"}
        if access.workspace_id is not None:
            headers["x-workspace-id"] = access.workspace_id
        self.base_url = access.base_url
        is_here = httpx.URL(access.base_url).host in ("127.0.0.1", "::1", "localhost")
        self.http = httpx.Client(
            base_url=access.base_url,
            headers=headers,
            timeout=TIMEOUT,
            transport=transport,
            trust_env=not is_here,  # no proxy leads to this machine
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self.http.close()

    def request(self, method: str, path: str, **content: object) -> httpx.Response:
        """Send a request to a path of the gateway, or to a URL, and return the reply whatever its status."""
        with failures(self.base_url):
            # The keyword arguments are those of the methods of clients.
            return self.http.request(method, path, **content)  # pyright: ignore[reportArgumentType]

    @staticmethod
    def json(reply: httpx.Response) -> JsonObject:
        """Return the object in a reply, whose status must be one of success."""
        if reply.status_code >= 300:
            raise refusal(reply)
        value = _decoded(reply)
        if value is None:
            raise RequestFailed("The answer is not JSON: is the URL that of a Tidegate gateway?", reply.status_code)
        return value


@contextmanager
def failures(server: str) -> Generator[None]:
    """Turn the errors of a connection to `server` into `RequestFailed`."""
    try:
        yield
    except httpx.ConnectError as error:
        raise RequestFailed(f"{server} does not answer: is the server running, and is the URL right?") from error
    except httpx.TimeoutException as error:
        raise RequestFailed(f"{server} did not answer in time; try again.") from error
    except httpx.HTTPError as error:
        raise RequestFailed(f"The connection to {server} broke off: {error or type(error).__name__}.") from error


def refusal(reply: httpx.Response) -> RequestFailed:
    """The error that the gateway has sent, with what to do about it."""
    value, status = _decoded(reply), reply.status_code
    match value:
        case {"error": {"message": str(message), **rest}}:
            code = rest.get("code")
            hint = " Use another key with --key, or set TIDEGATE_API_KEY." if status == 401 else ""
            return RequestFailed(f"{message}{hint}", status, code if isinstance(code, str) else None)
        case _:
            return RequestFailed(f"The gateway answered with the status {status}.", status)


def _decoded(reply: httpx.Response) -> JsonObject | None:
    try:
        value = json.loads(reply.content)
    except ValueError:
        return None
    # json.loads has no type.
    return cast("JsonObject", value) if isinstance(value, dict) else None
