"""Pages of items of a stored response or a conversation.

Source: https://platform.openai.com/docs/api-reference/responses/input-items (2026-11).
"""

import re
from collections.abc import Sequence

from starlette.requests import Request

from tidegate.errors import InvalidRequest
from tidegate.json import Json, JsonObject

MAX_PAGE, PAGE_SIZE = 100, 20


def page_of(items: Sequence[Json], request: Request) -> JsonObject:
    """Return a page of items, the newest first unless the query says otherwise. Raises `InvalidRequest`."""
    query = request.query_params
    order, after, limit = query.get("order", "desc"), query.get("after"), query.get("limit", str(PAGE_SIZE))
    if order not in ("asc", "desc"):
        raise InvalidRequest("'order' must be 'asc' or 'desc'.", param="order")
    if not re.fullmatch("[0-9]{1,3}", limit) or not 1 <= int(limit) <= MAX_PAGE:
        raise InvalidRequest(f"'limit' must be a number from 1 to {MAX_PAGE}.", param="limit")
    listed = [item for item in items if isinstance(item, dict)]
    if order == "desc":
        listed.reverse()
    ids = [str(item.get("id")) for item in listed]
    if after is not None and after not in ids:
        raise InvalidRequest(f"'after' names no item: {after[:80]!r}.", param="after")
    begin = 0 if after is None else ids.index(after) + 1
    end = begin + int(limit)
    page: list[Json] = [*listed[begin:end]]
    return {
        "object": "list",
        "data": page,
        "first_id": ids[begin] if page else None,
        "last_id": ids[begin + len(page) - 1] if page else None,
        "has_more": end < len(listed),
    }
