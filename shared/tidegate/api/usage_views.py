"""JSON of a workspace's usage and limits: in the gateway's own format, in Lunos's and in neuroflash's.

Sources: https://lunos.tech/docs/api/balance, https://neuro-flash.github.io/api-docs/usage/quotas and …/pagination
(2026-11).
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from math import ceil
from typing import NamedTuple

from tidegate.domain.account import used_amount
from tidegate.domain.budget_alerts import THRESHOLDS
from tidegate.domain.limits import Number, Unit, period_at
from tidegate.domain.record import iso_time, plain_decimal, sum_counters
from tidegate.domain.workspace import Principal, Workspace
from tidegate.policy.metering.quota import LimitUsage, Quota

_ALERT_PERCENT = max(threshold for threshold in THRESHOLDS if threshold < 100)

Counters = Mapping[str, int | str]


class PageRequest(NamedTuple):
    """One page; `number` begins at 1."""

    number: int
    size: int


class DailyCounters(NamedTuple):
    """The counters of the days from `first` to `last`, both included; days like "2026-11-21", unused ones absent."""

    first: str
    last: str
    counters: Mapping[str, Counters]


def usage(workspace: Workspace, today: str, month: DailyCounters, requested: DailyCounters) -> dict[str, object]:
    """Return the usage of today, of the budgets' current month and of the requested days. Money is a decimal string.

    `total_tokens`, of the requested days, is what Lunos's client documents.
    """
    total = _counters_with_tokens(sum_counters(requested.counters.values()))
    return {
        "object": "usage",
        "workspace_id": workspace.id,
        "total_tokens": total["tokens"],
        "day": {"date": today, **_counters_with_tokens(month.counters.get(today, sum_counters(())))},
        "month": {
            "from": month.first,
            "to": month.last,
            **_counters_with_tokens(sum_counters(month.counters.values())),
        },
        "from": requested.first,
        "to": requested.last,
        "total": total,
        "days": [
            {"date": day, **_counters_with_tokens(counters)} for day, counters in sorted(requested.counters.items())
        ],
    }


def quotas(workspace: Workspace, key: Principal, limit_usages: Sequence[LimitUsage]) -> dict[str, object]:
    """Return every limit of the workspace and of the key, and the allowed models; null if all are allowed."""
    return {
        "object": "quotas",
        "workspace_id": workspace.id,
        "key_id": key.key_id,
        "data": [_quota(quota) for limit_usage in limit_usages for quota in limit_usage.quotas()],
        "models": [
            {"scope": scope.kind, "models": scope.limits.models, "providers": scope.limits.providers}
            for scope in (limit_usage.scope for limit_usage in limit_usages)
        ],
    }


def account(workspace: Workspace, key: Principal, limit_usages: Sequence[LimitUsage]) -> dict[str, object]:
    """Return what Lunos's client calls the account: the workspace, with the limits of `quotas`."""
    identity = {"id": workspace.id, "name": workspace.name, "created_at": iso_time(workspace.created_at)}
    return {**quotas(workspace, key, limit_usages), "object": "account", **identity}


def balance(limit_usage: LimitUsage) -> dict[str, object]:
    """Return Lunos's balance: what is left of the USD budget of the month, else of the day; null without a budget.

    The balance is low, and an alert is sent, when the last threshold before 100 % is crossed. `email` is always empty:
    a workspace has no address, alerts go to the operator. `updatedAt` is now.
    """
    by_name = {quota.name: quota for quota in limit_usage.quotas()}
    quota = by_name.get("usd_per_month") or by_name.get("usd_per_day")
    left = alert = None
    message = "This workspace has no budget in USD: its spending is not limited."
    if quota is not None and quota.resets_at is not None:
        left, alert = quota.available, quota.limit * (100 - _ALERT_PERCENT) / 100
        message = f"The remainder of {quota.name}, which resets at {iso_time(quota.resets_at)}."
    return {
        "success": True,
        "message": message,
        "data": {
            "balance": None if left is None else float(left),
            "email": "",
            "alertBalance": None if alert is None else float(alert),
            "enableAlert": int(quota is not None),
            "updatedAt": iso_time(limit_usage.at),
            "isAlertEnabled": quota is not None,
            "isBalanceLow": left is not None and alert is not None and left <= alert,
        },
    }


def workspaces(visible: Sequence[Workspace], page: PageRequest) -> dict[str, object]:
    """Return neuroflash's page of workspaces, with the fields that the gateway has."""
    items = [{"id": item.id, "name": item.name, "createdAt": iso_time(item.created_at)} for item in visible]
    return _page(items, page)


def usage_types(
    workspace: Workspace, limit_usage: LimitUsage, usage_type: str | None, page: PageRequest
) -> dict[str, object]:
    """Return neuroflash's page of quotas: the limits on tokens and words of a day or a month.

    Amounts are whole numbers there, so budgets in USD are absent. `bonusAmount` and `spilloverAmount` are always 0,
    `fairUseLimitReached` is always false: the gateway has nothing like them.
    """
    by_name = {quota.name: quota for quota in limit_usage.quotas()}
    units: tuple[Unit, ...] = ("tokens", "words")
    limited: list[Unit] = [unit for unit in units if {f"{unit}_per_month", f"{unit}_per_day"} & by_name.keys()]
    wanted: list[Unit] = [unit for unit in limited if usage_type in (None, unit)]
    return _page([_usage_type(workspace, limit_usage, unit, by_name) for unit in wanted], page)


def _usage_type(
    workspace: Workspace, limit_usage: LimitUsage, unit: Unit, by_name: Mapping[str, Quota]
) -> dict[str, object]:
    month, day = by_name.get(f"{unit}_per_month"), by_name.get(f"{unit}_per_day")
    tightest = month or day
    used_by_span = {
        span: used_amount(limit_usage.account, unit, span, limit_usage.at, limit_usage.first_day)
        for span in ("month", "day")
    }
    return {
        "id": f"{workspace.id}:{unit}",
        "workspaceId": workspace.id,
        "usageTypeKey": unit,
        "bonusAmount": 0,
        "spilloverAmount": 0,
        "usedAmount": int(used_by_span["month"]),
        "usedAmountDaily": int(used_by_span["day"]),
        "dailyRefreshed": period_at("day", limit_usage.at).name.removeprefix("D#"),
        "availableAmount": int(tightest.available) if tightest else 0,
        "limitAmount": int(month.limit) if month else None,
        "limitAmountDaily": int(day.limit) if day else None,
        "fairUseLimitReached": False,
    }


def _page(items: Sequence[object], page: PageRequest) -> dict[str, object]:
    begin = (page.number - 1) * page.size
    return {
        "data": items[begin : begin + page.size],
        "page": {
            "size": page.size,
            "totalElements": len(items),
            "totalPages": ceil(len(items) / page.size),
            "currentPage": page.number,
        },
    }


def _quota(quota: Quota) -> dict[str, object]:
    return {
        "scope": quota.kind,
        "id": quota.id,
        "name": quota.name,
        "limit": _amount(quota.limit),
        "used": _amount(quota.used, like=quota.limit),
        "held": _amount(quota.held, like=quota.limit),
        "available": _amount(quota.available),
        "resets_at": None if quota.resets_at is None else iso_time(quota.resets_at),
    }


def _amount(amount: Number, like: Number = 0) -> int | str:
    """Return money as a decimal string, other amounts as they are."""
    return plain_decimal(Decimal(amount)) if isinstance(amount, Decimal) or isinstance(like, Decimal) else amount


def _counters_with_tokens(counters: Counters) -> dict[str, object]:
    return {**counters, "tokens": sum(int(counters[name]) for name in ("input_tokens", "output_tokens"))}
