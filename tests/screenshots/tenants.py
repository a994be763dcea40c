"""Workspaces, keys, plans, routes, guardrails and batches of an invented company."""

from decimal import Decimal

from tidegate.aws.batch_table import DynamoBatchTable
from tidegate.aws.store import Store
from tidegate.control.admins import with_secret
from tidegate.control.authorization import COMMAND_LINE_ACTOR
from tidegate.control.control import Control
from tidegate.domain.batch import Batch, BatchUsage, StoredFile
from tidegate.domain.guardrails import Guardrail
from tidegate.domain.keys import display_prefix, hash_secret
from tidegate.domain.limits import Limits
from tidegate.domain.managed_resources import AdminKey, Member, Plan
from tidegate.domain.routes import Route, RouteTarget
from tidegate.domain.workspace import VirtualKey, Workspace

NOW = 1_795_103_100.0
"""2026-11-19T15:45:00Z"""

DAY = 86_400.0
CALLER_KEY, ADMIN_KEY = "sk-tidegate-harbour-shop", "sk-tidegate-admin-harbour"
WORKSPACE = "ws_harbour"

PLAN = Plan(
    "plan_team",
    "Team",
    Limits(requests_per_minute=600, tokens_per_minute=2_000_000, usd_per_month=Decimal(250)),
    created_at=NOW - 40 * DAY,
)

ROUTES = (
    Route(
        "fast",
        (RouteTarget("openai/gpt-4.1-mini"), RouteTarget("mistral/mistral-small-latest")),
        by="latency",
        fallbacks=("anthropic/claude-haiku-4-5",),
    ),
    Route(
        "careful", (RouteTarget("anthropic/claude-sonnet-4-5", weight=3), RouteTarget("openai/gpt-4.1")), by="weight"
    ),
)
GUARDRAILS = (
    Guardrail("pii", "personal", action="mask", always=True, entities=("EMAIL", "PHONE", "IBAN")),
    Guardrail("secrets", "secrets", on="input"),
    Guardrail("short", "max_input", on="input", max_characters=200_000),
)

WORKSPACES = (
    Workspace(
        WORKSPACE,
        "Harbour",
        created_at=NOW - 40 * DAY,
        plan_id=PLAN.id,
        plan_limits=PLAN.limits,
        limits=Limits(usd_per_day=Decimal(4)),
        routes=ROUTES,
        guardrails=GUARDRAILS,
        trace_failures=True,
    ),
    Workspace("ws_lighthouse", "Lighthouse", created_at=NOW - 12 * DAY, limits=Limits(words_per_month=500_000)),
)

KEYS = tuple(
    VirtualKey(
        f"key_{name}",
        hash_secret(secret),
        display_prefix(secret),
        (workspace,),
        workspace,
        name=name,
        created_at=NOW - days * DAY,
        limits=limits,
        expires_at=expires_at,
    )
    for name, workspace, days, limits, expires_at, secret in (
        ("shop", WORKSPACE, 38, Limits(usd_per_day=Decimal("1.5")), None, CALLER_KEY),
        ("support", WORKSPACE, 31, Limits(usd_per_month=Decimal(120)), None, "sk-tidegate-harbour-support"),
        ("coding", WORKSPACE, 20, Limits(parallel_calls=12), None, "sk-tidegate-harbour-coding"),
        ("nightly", WORKSPACE, 9, Limits(), NOW + 21 * DAY, "sk-tidegate-harbour-nightly"),
        ("translations", "ws_lighthouse", 11, Limits(), None, "sk-tidegate-lighthouse-one"),
    )
)


async def create_tenants(control: Control) -> None:
    """Create all of them, each with its entry in the audit log."""
    for resource in (PLAN, *WORKSPACES, *KEYS, Member(WORKSPACE, "ada@harbour.example", "admin", NOW - 38 * DAY)):
        await control.apply_change(COMMAND_LINE_ACTOR, "create", None, resource)
    admin = AdminKey("", "", "", ("read", "write", "content"), name="Ada", created_at=NOW - 38 * DAY)
    await control.apply_change(COMMAND_LINE_ACTOR, "create", None, with_secret(ADMIN_KEY, admin))


async def create_batches(store: Store) -> None:
    """Create batches of every kind of progress, without their files' objects."""
    table = DynamoBatchTable(store)
    for number, (ago, lines, usage, more) in enumerate(
        (
            (26 * 3600, 12_000, BatchUsage(11_988, 12, cost_usd=Decimal("6.41")), {"status": "completed"}),
            (5 * 3600, 4_000, BatchUsage(4_000, 0, cost_usd=Decimal("2.07")), {"status": "completed"}),
            (40 * 60, 25_000, BatchUsage(15_360, 21, cost_usd=Decimal("8.12")), {"status": "in_progress"}),
            (4 * 60, 900, BatchUsage(0, 0), {"status": "in_progress", "pause": "budget"}),
        )
    ):
        begun_at, ended_at = NOW - ago, NOW - ago + 3 * 3600
        file = StoredFile(
            id=f"file-{number}",
            workspace_id=WORKSPACE,
            filename=f"catalogue-{number + 1}.jsonl",
            purpose="batch",
            bytes=lines * 900,
            key=f"files/{number}",
            created_at=begun_at - 20,
        )
        batch = Batch(
            id=f"batch_harbour{number}",
            workspace_id=WORKSPACE,
            key_id="key_shop",
            endpoint="/v1/chat/completions",
            input_file_id=file.id,
            input_key=file.key,
            input_bytes=file.bytes,
            completion_window="24h",
            created_at=begun_at,
            expires_at=begun_at + DAY,
            model="openai/gpt-4.1-mini",
            in_progress_at=begun_at + 3,
            total=lines,
            usage=usage,
            completed_at=ended_at if more["status"] == "completed" else None,
            output_file_id="file-out" if more["status"] == "completed" else None,
            **more,
        )
        await table.save(file, batch)
