"""FastAPI dependencies and parameters that many endpoints of the admin API share."""

import re
from typing import Annotated

from fastapi import Depends, Header, Query, Request, Security
from fastapi.security import HTTPBearer

from tidegate.api.admin.responses import AdminContext
from tidegate.control.validation import MAX_NAME_CHARACTERS, MAX_PAGE_ENTRIES
from tidegate.errors import PreconditionRequired

_ETAG = re.compile(r'(?:W/)?"([0-9]{1,15})"')
_NO_SUCH_VERSION = 0
"""Versions begin with 1, so this version never matches."""

admin_key_scheme = HTTPBearer(auto_error=False, description="An admin key, sk-tidegate-admin-…")


def _admin_context(request: Request, _: Annotated[object, Security(admin_key_scheme)]) -> AdminContext:
    return AdminContext(request.app.state.control, request.state.actor)


_ETAG_HEADER = Header(description="The ETag of the version to change, or *", max_length=MAX_NAME_CHARACTERS)


def _optional_version(if_match: Annotated[str | None, _ETAG_HEADER] = None) -> int | None:
    """Parse the version that a change is meant for; None means any version."""
    if if_match is None or if_match.strip() == "*":
        return None
    match = _ETAG.fullmatch(if_match.strip())
    return int(match[1]) if match else _NO_SUCH_VERSION


def _required_version(request: Request, version: Annotated[int | None, Depends(_optional_version)]) -> int | None:
    """Require the header If-Match, and return its version. Raises `PreconditionRequired`."""
    if "if-match" not in request.headers:
        message = "Send the ETag of the version to change in If-Match, or * for any version."
        raise PreconditionRequired(message, param="if-match")
    return version


Context = Annotated[AdminContext, Depends(_admin_context)]
IfMatch = Annotated[int | None, Depends(_required_version)]
OptionalVersion = Annotated[int | None, Depends(_optional_version)]
Limit = Annotated[int, Query(ge=1, le=MAX_PAGE_ENTRIES, description="The number of entries of a page")]
Cursor = Annotated[str, Query(max_length=256, description="next_cursor of the previous page")]
CallCursor = Annotated[str | None, Query(pattern="^[0-9A-Z]{1,26}$", description="next_cursor of the previous page")]
Force = Annotated[
    bool, Query(description="Accept a limit below what is used already; delete a workspace that is in use")
]
_IDEMPOTENCY = Header(min_length=1, max_length=MAX_NAME_CHARACTERS, description="A repeated key does not create twice")
IdempotencyKey = Annotated[str | None, _IDEMPOTENCY]
