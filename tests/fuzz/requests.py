"""Requests of every endpoint of the data plane and of the admin API, most of them nearly valid."""

import json
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from tests.fuzz.dialects import bodies_of
from tests.fuzz.mutations import VALUES, as_json, mutated, mutated_bytes, rarely
from tests.providers.calls import CASES
from tests.world import SECRET
from tidegate.api.app import COUNTS, ENDPOINTS
from tidegate.api.routes import READS

_CALLS = sorted(ENDPOINTS | COUNTS)
_BODIES = [json.loads(path.read_text("utf-8")) for path in sorted(CASES.glob("*/*/request.json"))]

GATEWAY_FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "dry_run": st.just(True),
    "stream": st.booleans(),
    "stream_options": st.just({"include_usage": True}),
    "fallbacks": st.sampled_from(
        [
            ["openai/gpt-4.1", {"model": "mistral/a", "temperature": 1}],
            [{"openai/gpt-4.1-mini": ["openai/gpt-4.1"]}],
            ["nobody/x"],
            [{"model": "cohere/command-a-03-2025", "messages": [{"role": "user", "content": "b"}]}],
        ]
    ),
    "models": st.just(["openai/gpt-4.1", "anthropic/claude-sonnet-4-5"]),
    "context_window_fallback_dict": st.just({"openai/gpt-4.1-mini": "openai/gpt-4.1"}),
    "caching": st.booleans(),
    "cache": st.sampled_from([{"ttl": 5, "s-maxage": 5}, {"no-store": True}, {"namespace": "a"}]),
    "num_retries": st.integers(0, 5),
    "require_parameters": st.booleans(),
    "timeout": st.sampled_from([0.001, 1, 600]),
    "guardrails": st.sampled_from([["secrets"], ["nobody"], []]),
    "n": st.integers(1, 3),
    "response_format": st.sampled_from(
        [{"type": "json_object"}, {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object"}}}]
    ),
}
"""Fields that few of the cases have."""


@dataclass(frozen=True)
class Sent:
    """One HTTP request."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@st.composite
def bodies(draw: st.DrawFn, path: str) -> bytes:
    """A request in the path's dialect, with a few of the gateway's fields, and with mutations.

    One of chat completions is of some provider's cases.
    """
    listed = bodies_of(path)
    if not listed or draw(rarely):
        listed = _BODIES
    body = {**draw(st.sampled_from(listed))}
    for name in draw(st.lists(st.sampled_from(sorted(GATEWAY_FIELDS)), max_size=2)):
        body[name] = draw(GATEWAY_FIELDS[name])
    return draw(mutated_bytes(as_json(draw(mutated(body)))))


_USUAL_HEADERS = {
    "authorization": f"Bearer {SECRET}",
    "content-type": "application/json",
    "x-workspace-id": "ws_test",
}
_ODD_HEADERS: dict[str, list[str]] = {
    "authorization": ["", "Bearer", "Bearer sk-tidegate-nobody", "Basic a", "Bearer a.b.c", "ä"],
    "content-type": ["", "text/plain", "application/json; charset=latin-1", "multipart/form-data"],
    "x-workspace-id": ["", "ws_nobody", "ws_other", "é", "a" * 5_000],
    "content-length": ["-1", "99999999999", "x"],
    "idempotency-key": ["a", "a" * 300, "é\x7f"],
    "x-request-deadline": ["1", "9999999999", "nan", "x", "inf", "-1"],
    "x-app-id": ["a", "a" * 300, "é"],
    "x-session-id": ["a", "é" * 100],
    "anthropic-version": ["2023-06-01", "2", "é", "a" * 300],
    "anthropic-beta": ["a-2030-01-01,b", "é", "," * 300],
    "x-api-key": [SECRET, "a"],
    "x-claude-code-session-id": ["a", "é" * 100],
    "origin": ["https://a.example", "null"],
    "x-forwarded-for": ["1.2.3.4", "::1, x", "a" * 500],
}


@st.composite
def _headers(draw: st.DrawFn) -> dict[str, str]:
    odd = draw(st.lists(st.sampled_from(sorted(_ODD_HEADERS)), max_size=1)) if draw(rarely) else []
    return {**_USUAL_HEADERS, **{name: draw(st.sampled_from(_ODD_HEADERS[name])) for name in odd}}


@st.composite
def requests(draw: st.DrawFn) -> Sent:
    """A request of the data plane."""
    if not draw(rarely):
        path = draw(st.sampled_from(_CALLS))
        return Sent("POST", path, draw(_headers()), draw(bodies(path)))
    path = draw(
        st.one_of(
            st.sampled_from(_CALLS),
            st.sampled_from(sorted(READS)).map(lambda path: path.replace("{model_id:path}", "openai/gpt-4.1")),
            st.sampled_from(["/", "//", "/v1", "/v1/models/é/../x", "/v1/usage?from=x&to=9", "/v1/usage?group_by=day"]),
            st.text(st.characters(min_codepoint=33, exclude_characters="#"), max_size=20).map(lambda text: f"/{text}"),
        )
    )
    method = draw(st.sampled_from(["GET", "GET", "POST", "PUT", "OPTIONS", "HEAD", "DELETE", "X"]))
    return Sent(method, path, draw(_headers()), draw(bodies(path)) if path in _CALLS else b"")


_LIMITS = {"usd_per_month": "5.5", "requests_per_minute": 10, "models": ["openai/*"], "tokens_per_day": 100}
_GUARDRAILS = [
    {"name": "g", "kind": "regex", "on": "both", "patterns": ["a+"], "action": "mask"},
    {"name": "w", "kind": "words", "words": ["a", "b"], "always": True},
    {"name": "s", "kind": "json_schema", "on": "output", "schema": {"type": "object", "properties": {"a": {}}}},
    {"name": "m", "kind": "max_input", "max_tokens": 8000},
]
_ROUTES = [{"name": "fast", "targets": [{"model": "openai/gpt-4.1", "weight": 1}], "fallbacks": ["openai/b"]}]
_ADMIN_BODIES: list[tuple[str, str, Any]] = [
    ("POST", "/plans", {"name": "p", "limits": _LIMITS}),
    ("PATCH", "/plans/pro", {"name": "q", "limits": _LIMITS}),
    ("POST", "/workspaces", {"id": "ws_a", "name": "A", "limits": _LIMITS, "routes": _ROUTES}),
    ("PATCH", "/workspaces/ws_one", {"name": "B", "shards": 2, "limits": _LIMITS, "timeout_seconds": 10}),
    ("PATCH", "/workspaces/ws_one", {"guardrails": _GUARDRAILS, "cache_ttl_seconds": 5, "plan_id": "pro"}),
    (
        "POST",
        "/keys",
        {"workspace_ids": ["ws_one"], "name": "k", "limits": _LIMITS, "expires_at": "2030-01-01T00:00:00Z"},
    ),
    ("PATCH", "/keys/key_1", {"status": "disabled", "name": "k"}),
    ("POST", "/subjects", {"subject": "a@b.example", "workspace_ids": ["ws_one"]}),
    ("PUT", "/workspaces/ws_one/credentials/OPENAI_API_KEY", {"value": "a-secret"}),
    ("PUT", "/workspaces/ws_one/members/a@b.example", {"role": "admin"}),
    ("POST", "/admins", {"name": "a", "scopes": ["read"], "workspace_ids": ["ws_one"]}),
    ("GET", "/workspaces?limit=5&cursor=a", None),
    ("GET", "/workspaces/ws_one/calls?limit=1000&from=2026-01-01", None),
    ("GET", "/workspaces/ws_one/usage?from=2026-01-01&to=2026-02-31", None),
    ("GET", "/workspaces/ws_one/audit?limit=-1", None),
    ("GET", "/audit?cursor=%00", None),
    ("DELETE", "/workspaces/ws_one", None),
    ("DELETE", "/keys/key_1", None),
    ("POST", "/keys/key_1/rotate", {}),
]


@st.composite
def admin_requests(draw: st.DrawFn) -> Sent:
    """A request of the admin API."""
    method, path, body = draw(st.sampled_from(_ADMIN_BODIES))
    if draw(rarely):
        method = draw(st.sampled_from(["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"]))
    if draw(rarely):
        path += draw(st.sampled_from(["/", "?limit=x", "?version=-1", "/é", "%00", "/../..", "a" * 2_000]))
    if draw(rarely):
        body = draw(VALUES)
    content = b"" if body is None else draw(mutated_bytes(as_json(draw(mutated(body)))))
    headers = {
        "content-type": draw(st.sampled_from(["application/json"] * 6 + ["", "text/plain"])),
        "if-match": draw(st.sampled_from(["*"] * 6 + ["", "1", '"1"', "x"])),
    }
    return Sent(method, path, headers, content)
