"""The caller, the JSON body and the page of a request about files, uploads or batches."""

from collections.abc import Sequence

from msgspec import Struct
from starlette.requests import Request

from tidegate.api.account import authenticate
from tidegate.api.batch_routes import components_of
from tidegate.api.request_body import read_json_body
from tidegate.batch.components import BatchComponents
from tidegate.batch.fields import Fields
from tidegate.batch.ports import Page
from tidegate.chat.parse import decode_body
from tidegate.json import JsonObject

MAX_JSON_BYTES = 1024 * 1024
"""An upload is completed with at most 10,000 ids of 31 characters."""


class Caller(Struct, frozen=True):
    """Who asks, for which workspace, with the components that answer, and the id in the path."""

    components: BatchComponents
    workspace_id: str
    key_id: str
    id: str


async def caller_of(request: Request) -> Caller:
    """Return the caller. Raises the errors of authentication."""
    principal, workspace = await authenticate(request)
    return Caller(components_of(request), workspace.id, principal.key_id, request.path_params["id"] or "")


async def json_fields(request: Request) -> Fields:
    """Return the fields of a JSON body. Raises `InvalidRequest`, `RequestTooLarge` and `UnsupportedMediaType`."""
    return Fields(decode_body(await read_json_body(request.receive, dict(request.headers.raw), MAX_JSON_BYTES)))


def query_fields(request: Request) -> Fields:
    """Return the parameters of the query."""
    return Fields({**request.query_params}, are_texts=True)


def page_of(query: Fields, default: int, maximum: int) -> Page:
    """Return the page that the query asks for. Raises `InvalidRequest`."""
    order = query.maybe_text("order", choices=("asc", "desc"))
    return Page(query.integer("limit", 1, maximum, default), query.maybe_text("after"), order == "asc")


def list_json(items: Sequence[JsonObject], has_more: bool) -> JsonObject:
    """Return a page of a list."""
    first, last = (items[0]["id"], items[-1]["id"]) if items else (None, None)
    return {"object": "list", "data": [*items], "first_id": first, "last_id": last, "has_more": has_more}
