"""Endpoints for callers about their own workspaces: usage, quotas, balance, and the list of workspaces.

| path | workspace |
|---|---|
| `/v1/usage`, `/v1/quotas`, `/v1/account`, `/v1/balance`, `/balance` | the key's, or the one of `x-workspace-id` |
| `/api/workspace-service/v1/workspaces` | all of the key's |
| `/api/usage-service/v1/workspaces/{id}/quotas` | the one in the path |

`x-workspace-id` is optional everywhere, and checked if it is sent.
"""

import re
import time
from datetime import UTC, date, datetime, timedelta

from msgspec.structs import replace
from starlette.requests import Request
from starlette.responses import Response

from tidegate.api import usage_views
from tidegate.api.source import source_of
from tidegate.api.usage_views import DailyCounters, PageRequest
from tidegate.domain.ids import ulid
from tidegate.domain.limits import period_at
from tidegate.domain.workspace import Principal, Workspace
from tidegate.errors import InvalidRequest
from tidegate.gateway import Gateway
from tidegate.json import encode
from tidegate.policy.metering import quota
from tidegate.policy.metering.quota import LimitUsage
from tidegate.surfaces.openai import find_credential

MAX_DAYS = 92
MAX_PAGE = 10_000
MAX_SIZE = 200
PAGE_SIZE = 20

_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_NUMBER = re.compile(r"[0-9]{1,9}")


async def show_usage(request: Request) -> Response:
    gateway = gateway_of(request)
    _, workspace = await authenticate(request)
    now = gateway.clock()
    today = datetime.fromtimestamp(now, UTC).date()
    month_begin = date.fromisoformat(period_at("month", now, workspace.first_day).name.removeprefix("M#"))
    first, last = _requested_days(request, month_begin, today)
    month = await read_days(gateway, workspace, month_begin, today)
    requested = month if (first, last) == (month_begin, today) else await read_days(gateway, workspace, first, last)
    return json_reply(usage_views.usage(workspace, today.isoformat(), month, requested))


async def show_quotas(request: Request) -> Response:
    return json_reply(usage_views.quotas(*await _read_limits(request)))


async def show_balance(request: Request) -> Response:
    gateway = gateway_of(request)
    _, workspace = await authenticate(request)
    limit_usage = await quota.limit_usage_of_workspace(gateway.ledger, workspace, gateway.clock())
    return json_reply(usage_views.balance(limit_usage))


async def show_account(request: Request) -> Response:
    return json_reply(usage_views.account(*await _read_limits(request)))


async def list_workspaces(request: Request) -> Response:
    gateway = gateway_of(request)
    visible = await gateway.authenticator.list_workspaces(
        find_credential(dict(request.headers.raw)), source=source_of(request.scope)
    )
    await _check_header(request)
    return json_reply(usage_views.workspaces(visible, _page(request)))


async def list_usage_types(request: Request) -> Response:
    gateway = gateway_of(request)
    _, workspace = await authenticate(request, request.path_params["workspace_id"])
    await _check_header(request)
    page, usage_type = _page(request), request.query_params.get("usageTypeKey")
    limit_usage = await quota.limit_usage_of_workspace(gateway.ledger, workspace, gateway.clock())
    return json_reply(usage_views.usage_types(workspace, limit_usage, usage_type, page))


def gateway_of(request: Request) -> Gateway:
    """Return the gateway of this process."""
    return request.state.gateway


async def authenticate(
    request: Request, workspace_id: str | None = None, path: str | None = None
) -> tuple[Principal, Workspace]:
    """Return the caller and the workspace: `workspace_id`, or that of the header. Raises `TidegateError`.

    The key must be allowed to call the request's path, or another `path`.
    """
    source = source_of(request.scope)
    return await gateway_of(request).authenticator.authenticate(
        find_credential(dict(request.headers.raw)),
        request.headers.get("x-workspace-id") if workspace_id is None else workspace_id,
        required_workspace=workspace_id is not None,
        source=source if path is None else replace(source, path=path),
    )


async def _read_limits(request: Request) -> tuple[Workspace, Principal, tuple[LimitUsage, LimitUsage]]:
    gateway = gateway_of(request)
    key, workspace = await authenticate(request)
    now = gateway.clock()
    workspace_usage = await quota.limit_usage_of_workspace(gateway.ledger, workspace, now)
    return workspace, key, (workspace_usage, await quota.limit_usage_of_key(gateway.ledger, key, workspace, now))


async def _check_header(request: Request) -> None:
    if request.headers.get("x-workspace-id", "").strip():
        await authenticate(request)


async def read_days(gateway: Gateway, workspace: Workspace, first: date, last: date) -> DailyCounters:
    """Return the counters of the workspace. Raises `StoreUnavailable`."""
    names = first.isoformat(), last.isoformat()
    return DailyCounters(*names, await gateway.open_usages().days(workspace.id, *names, workspace.shards))


def _requested_days(request: Request, month_begin: date, today: date) -> tuple[date, date]:
    """Return `from` and `to`; if both are absent, the current month. Raises `InvalidRequest`."""
    first, last = (_date(request, name) for name in ("from", "to"))
    if first is None and last is not None:
        raise InvalidRequest("'to' is set without 'from': send both, or neither.", param="from")
    first, last = first or month_begin, last or today
    if first > last:
        raise InvalidRequest(f"The first day ({first}) is after the last day ({last}).", param="from")
    if last - first >= timedelta(days=MAX_DAYS):
        raise InvalidRequest(f"{(last - first).days + 1} days are too many: the limit is {MAX_DAYS}.", param="from")
    return first, last


def _date(request: Request, name: str) -> date | None:
    text = request.query_params.get(name)
    if text is None:
        return None
    try:
        if _DATE.fullmatch(text):
            return date.fromisoformat(text)
    except ValueError:
        pass
    raise InvalidRequest(f"{text[:40]!r} is not a valid day: write it like 2026-11-21.", param=name)


def _page(request: Request) -> PageRequest:
    return PageRequest(_number(request, "page", 1, MAX_PAGE), _number(request, "size", PAGE_SIZE, MAX_SIZE))


def _number(request: Request, name: str, default: int, maximum: int) -> int:
    text = request.query_params.get(name)
    if text is None:
        return default
    if not _NUMBER.fullmatch(text) or not 1 <= int(text) <= maximum:
        raise InvalidRequest(f"{name} must be a whole number from 1 to {maximum}, not {text[:40]!r}.", param=name)
    return int(text)


def json_reply(value: object) -> Response:
    """Return a reply with its `x-request-id`."""
    return Response(encode(value), media_type="application/json", headers={"x-request-id": ulid(time.time())})
