"""The workspaces of the measurements: with all limits set, and with what else a call can be checked for."""

from decimal import Decimal

from msgspec.structs import replace

from tidegate.domain.guardrails import Guardrail
from tidegate.domain.limits import Limits
from tidegate.domain.workspace import Workspace

ALL_LIMITS = Limits(
    requests_per_minute=10**6,
    tokens_per_minute=10**9,
    parallel_calls=1000,
    tokens_per_day=10**12,
    tokens_per_month=10**12,
    words_per_day=10**12,
    words_per_month=10**12,
    usd_per_day=Decimal(10**6),
    usd_per_month=Decimal(10**6),
)
"""Limits that every call fits."""


def with_checks(workspace: Workspace) -> Workspace:
    """Return the workspace with all limits, a cache and a guardrail."""
    guardrail = Guardrail("names", "words", always=True, words=("hurricane",))
    return replace(workspace, limits=ALL_LIMITS, guardrails=(guardrail,), cache_ttl_seconds=3600)
