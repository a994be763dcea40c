"""What a cold start of the data plane loads: every library here was measured, and every other one is an accident."""

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

ALLOWED = {
    *("functions", "tidegate"),
    *("starlette", "msgspec", "httptools"),
    "typing_extensions",
}
_LIST_MODULES = """
import sys
before = set(sys.modules)
import functions.chat.app
import json
# Compiled packages register helpers without a file or a spec of their own.
loaded = {name for name in set(sys.modules) - before if getattr(sys.modules[name], "__spec__", None)}
print(json.dumps(sorted(loaded)))
"""


def loaded_modules() -> set[str]:
    """What importing the function adds to a bare interpreter, without the standard library."""
    return {name for name in new_modules() if name.partition(".")[0] not in sys.stdlib_module_names}


@cache
def new_modules() -> frozenset[str]:
    """What importing the function adds to a bare interpreter."""
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'shared'}"}
    env |= {"TIDEGATE_TABLE": "tidegate", "AWS_REGION": "eu-central-1"}
    command = [sys.executable, "-c", _LIST_MODULES]
    done = subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True, check=True)
    return frozenset(json.loads(done.stdout))


def test_the_data_plane_loads_only_what_it_needs() -> None:
    assert {name.partition(".")[0] for name in loaded_modules()} - ALLOWED == set()


def test_a_call_needs_no_web_framework() -> None:
    names = {name for name in loaded_modules() if name.partition(".")[0] in {"starlette", "anyio"}}
    assert names <= {"starlette", "starlette.types"}


def test_a_cold_start_loads_no_heavy_module_of_the_standard_library() -> None:
    heavy = "calendar csv dataclasses email email.utils html http.client http.cookies pathlib pickle tempfile zipfile"
    assert new_modules() & {*heavy.split()} == set()


def test_the_data_plane_loads_no_tool_and_no_other_plane() -> None:
    rooms = (
        *("tidegate.local", "tidegate.cli", "tidegate.api.admin", "tidegate.control"),
        *("tidegate.domain.managed_resources", "tidegate.transport.httpx"),
    )
    assert {name for name in loaded_modules() if name.startswith(rooms)} == set()


def test_tokens_cost_nothing_where_no_issuer_is_configured() -> None:
    parts = {f"tidegate.identity.{name}" for name in ("choose", "oidc", "access_token", "key_set", "google")}
    assert loaded_modules() & parts == set()


def test_guardrails_cost_nothing_until_a_call_has_one() -> None:
    room = "tidegate.policy.guardrails"
    light = {room, f"{room}.selection", f"{room}.protocol"}
    assert {name for name in loaded_modules() if name.startswith((room, "regex"))} == light


def test_the_cache_and_idempotency_keys_cost_nothing_until_a_call_asks_for_them() -> None:
    names = (
        *("pipeline.reuse", "policy.caching"),
        *("chat.assemble", "chat.replay", "domain.stored_reply", "aws.reply_store", "aws.bucket"),
    )
    assert loaded_modules() & {f"tidegate.{name}" for name in names} == set()


def test_routes_cost_nothing_until_a_call_asks_for_one() -> None:
    parts = {f"tidegate.{name}" for name in ("policy.routing.ordering", "policy.routing.health", "pipeline.hedging")}
    assert loaded_modules() & parts == set()


def test_dry_runs_cost_nothing_until_there_is_one() -> None:
    assert not [name for name in loaded_modules() if name.startswith("tidegate.pipeline.dry_run")]


def test_lists_of_models_usage_and_health_cost_nothing_until_one_is_asked_for() -> None:
    names = ("api.models", "api.model_views", "api.route_models", "api.account", "api.usage_views", "aws.tenants")
    assert loaded_modules() & {f"tidegate.{name}" for name in (*names, "policy.metering.quota")} == set()


def test_what_few_calls_need_costs_nothing_until_one_does() -> None:
    names = (
        *("api.stream", "upstream.sse", "upstream.eventstream", "upstream.guardrails.backends"),
        *("aws.traces", "aws.trace_keys", "domain.trace"),
        *("transport.media_fetcher", "aws.signatures", "chat.reasoning_signatures", "providers.caller_terms"),
        *("policy.metering.alerts", "policy.auth.throttle", "domain.limit_error", "pipeline.check_output"),
    )
    assert loaded_modules() & {f"tidegate.{name}" for name in names} == set()


def test_other_operations_and_dialects_cost_nothing_until_a_call_asks_for_one() -> None:
    rooms = (
        *("embeddings", "moderations", "rerank", "texts", "surfaces.completions"),
        *("surfaces.messages", "surfaces.responses", "pipeline.kept_responses"),
        *("providers.native", "providers.messages_hosts"),
        *("providers.embeddings", "providers.moderations", "providers.rerank", "providers.texts_translator"),
    )
    prefixes = tuple(f"tidegate.{room}" for room in rooms)
    assert {name for name in loaded_modules() if name.startswith(prefixes)} == set()


def test_what_the_operator_did_not_configure_costs_nothing() -> None:
    names = (
        *("aws.secrets", "aws.vault", "aws.events", "providers.operator_rows", "policy.routing.route_config"),
        *("upstream.otlp", "upstream.otlp_json", "domain.otel", "domain.otel_metrics", "domain.traceparent"),
    )
    assert loaded_modules() & {f"tidegate.{name}" for name in names} == set()


def test_a_cold_start_loads_no_more_modules_than_it_did() -> None:
    assert len([name for name in loaded_modules() if name.partition(".")[0] == "tidegate"]) <= 130


def test_the_list_is_really_taken() -> None:
    assert {"functions.chat.app", "tidegate.api.app", "msgspec"} <= loaded_modules()
