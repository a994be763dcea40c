"""OpenRouter's endpoints about the key: its credits and limits.

Source: https://openrouter.ai/docs/api-reference/limits and …/credits/get-credits (2026-11), and the schemas of the npm
package @openrouter/sdk 1.3, which requires each of these fields.
"""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from starlette.requests import Request
from starlette.responses import Response

from tidegate.api.account import authenticate, gateway_of, json_reply, read_days
from tidegate.domain.money import exact_money
from tidegate.domain.workspace import Principal, Workspace
from tidegate.gateway import Gateway
from tidegate.policy.metering import quota
from tidegate.policy.metering.quota import Quota

UNLIMITED_CREDITS = 1_000_000_000
"""The credits of a workspace without a budget: OpenRouter's clients take no null, and stop when nothing is left."""

_RESETS = {"usd_per_month": "monthly", "usd_per_day": "daily"}


async def show_credits(request: Request) -> Response:
    """Answer with the budget in USD and its usage in the current period, or with the month's usage."""
    gateway = gateway_of(request)
    key, workspace = await authenticate(request)
    budget = await _find_budget(gateway, key, workspace)
    if budget is not None:
        total, used = float(budget.limit), float(budget.used)
    else:
        total, used = UNLIMITED_CREDITS, (await _costs(gateway, workspace))["usage_monthly"]
    return json_reply({"data": {"total_credits": total, "total_usage": used}})


async def show_key(request: Request) -> Response:
    """Answer with the limit of the key or its workspace. The usage is the workspace's, `usage` that of the month."""
    gateway = gateway_of(request)
    key, workspace = await authenticate(request)
    budget = await _find_budget(gateway, key, workspace)
    costs = await _costs(gateway, workspace)
    rate = key.limits.requests_per_minute or workspace.effective_limits.requests_per_minute
    return json_reply(
        {
            "data": {
                "label": key.key_id,
                "workspace_id": workspace.id,
                "limit": None if budget is None else float(budget.limit),
                "limit_remaining": None if budget is None else float(budget.available),
                "limit_reset": None if budget is None else _RESETS[budget.name],
                "usage": costs["usage_monthly"],
                **costs,
                **dict.fromkeys(("byok_usage", "byok_usage_daily", "byok_usage_weekly", "byok_usage_monthly"), 0),
                **dict.fromkeys(("creator_user_id", "organization_id", "expires_at")),
                **dict.fromkeys(("is_free_tier", "is_management_key", "is_provisioning_key"), False),
                "include_byok_in_limit": False,
                "allowed_data_regions": [],
                "free_model_daily_requests": {"limit": 0, "remaining": 0, "used": 0},
                "rate_limit": {
                    "requests": -1 if rate is None else rate,
                    "interval": "60s",
                    "note": "-1: not limited. Replies have the headers x-ratelimit-….",
                },
            }
        }
    )


async def _find_budget(gateway: Gateway, key: Principal, workspace: Workspace) -> Quota | None:
    """Return the key's budget in USD, or else the workspace's; a month's before a day's."""
    now = gateway.clock()
    for limit_usage in (
        await quota.limit_usage_of_key(gateway.ledger, key, workspace, now),
        await quota.limit_usage_of_workspace(gateway.ledger, workspace, now),
    ):
        by_name = {each.name: each for each in limit_usage.quotas()}
        for name in _RESETS:
            if name in by_name:
                return by_name[name]
    return None


async def _costs(gateway: Gateway, workspace: Workspace) -> dict[str, float]:
    """Return the workspace's cost in USD of today, of the week from Monday, and of the calendar month, in UTC."""
    today = datetime.fromtimestamp(gateway.clock(), UTC).date()
    begins = {
        "usage_daily": today,
        "usage_weekly": today - timedelta(days=today.weekday()),
        "usage_monthly": today.replace(day=1),
    }
    days = await read_days(gateway, workspace, min(begins.values()), today)
    costs = {day: Decimal(counters["cost_usd"]) for day, counters in days.counters.items()}
    return {name: float(_sum_from(costs, begin)) for name, begin in begins.items()}


@exact_money
def _sum_from(costs: Mapping[str, Decimal], begin: date) -> Decimal:
    return sum((cost for day, cost in costs.items() if day >= begin.isoformat()), Decimal(0))
