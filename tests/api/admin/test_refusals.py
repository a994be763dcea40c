"""Every wrong request has an error of its own, in our envelope."""

from typing import Any

import httpx
import pytest
from msgspec.structs import replace

from tests.api.admin.world import Api
from tests.store_worlds import hold_tokens, outcome
from tidegate.api.admin.app import build_admin
from tidegate.domain.account import AccountScope
from tidegate.domain.limits import Limits
from tidegate.errors import StoreUnavailable


async def test_a_stranger_learns_nothing(api: Api) -> None:
    for method, path in (("GET", "/workspaces"), ("GET", "/nothing"), ("POST", "/plans"), ("DELETE", "/workspaces")):
        assert (await api.stranger(method, path, b"{")).fault == (401, "invalid_api_key", None)
    assert (await api.stranger("GET", "/openapi.json")).status == 200


@pytest.mark.parametrize(
    ("method", "path", "body", "fault"),
    [
        ("POST", "/workspaces", {"name": "x", "plan_id": "plan_unknown"}, (400, "unknown_plan", "plan_id")),
        ("POST", "/workspaces", {"name": "x", "id": "acme"}, (400, "invalid_request", "id")),
        ("POST", "/workspaces", {"id": "ws_x"}, (400, "invalid_request", "name")),
        ("POST", "/workspaces", {"name": "x", "nmae": "y"}, (400, "invalid_request", "nmae")),
        ("POST", "/workspaces", {"name": 5}, (400, "invalid_request", "name")),
        ("POST", "/workspaces", {"name": "x", "id": "ws_one"}, (409, "already_exists", None)),
        ("POST", "/workspaces", {"name": "x", "shards": 513}, (400, "invalid_request", "shards")),
        ("POST", "/workspaces", {"name": "x", "first_day": 31}, (400, "invalid_request", "first_day")),
        ("POST", "/plans", {"name": "x"}, (400, "invalid_request", "id")),
        ("POST", "/keys", {"workspace_ids": []}, (400, "key_without_workspace", "workspace_ids")),
        ("POST", "/keys", {}, (400, "invalid_request", "workspace_ids")),
        ("POST", "/keys", {"workspace_ids": ["ws_no"]}, (404, "not_found", "workspace_id")),
        ("POST", "/keys", {"workspace_ids": ["ws_one"], "expires_at": 5}, (400, "invalid_request", "expires_at")),
        (
            "POST",
            "/keys",
            {"workspace_ids": ["ws_one"], "expires_at": "2020-01-01"},
            (400, "invalid_request", "expires_at"),
        ),
        (
            "POST",
            "/keys",
            {"workspace_ids": ["ws_one"], "expires_at": "9999-12-31T23:59:59-12:00"},
            (400, "invalid_request", "expires_at"),
        ),
        ("POST", "/admins", {"name": "x", "scopes": []}, (400, "invalid_request", "scopes")),
        ("POST", "/plans", b"{", (400, "invalid_request", None)),
        ("POST", "/plans", b"\xff", (400, "invalid_request", None)),
        ("GET", "/workspaces?limit=100000", None, (400, "invalid_request", "limit")),
        ("GET", "/workspaces?limit=x", None, (400, "invalid_request", "limit")),
        ("GET", "/workspaces/ws_one/calls?cursor=x", None, (400, "invalid_request", "cursor")),
        ("GET", "/workspaces/ws_one/calls?limit=201", None, (400, "invalid_request", "limit")),
        ("GET", "/workspaces/ws_one/usage?by=colour", None, (400, "invalid_request", "by")),
        ("GET", "/workspaces/ws_one/usage?from=2026-01-01&to=2026-11-01", None, (400, "invalid_request", "to")),
        ("GET", "/workspaces/ws_one/usage?from=yesterday", None, (400, "invalid_request", "from")),
        ("GET", "/workspaces/ws_no", None, (404, "not_found", "workspace_id")),
        ("GET", "/plans/plan_no", None, (404, "not_found", "plan_id")),
        ("GET", "/admins/adm_no", None, (404, "not_found", "admin_id")),
        ("GET", "/workspaces/ws_one/keys/key_no", None, (404, "not_found", "key_id")),
        ("GET", "/workspaces/ws_one/members/nobody", None, (404, "not_found", "subject")),
        ("GET", "/nothing", None, (404, "not_found", None)),
        ("GET", "/workspaces/", None, (404, "not_found", None)),
        ("DELETE", "/workspaces", None, (405, "method_not_allowed", None)),
        ("PATCH", "/workspaces/ws_one", {"name": "x"}, (428, "precondition_required", "if-match")),
    ],
)
async def test_wrong_requests(api: Api, method: str, path: str, body: Any, fault: object) -> None:
    assert (await api.whole(method, path, body)).fault == fault


@pytest.mark.parametrize(
    ("limits", "param"),
    [
        (b'{"usd_per_month": -0.01}', "usd_per_month"),
        (b'{"usd_per_month": NaN}', "usd_per_month"),
        (b'{"usd_per_month": 1e400}', "usd_per_month"),
        (b'{"usd_per_month": true}', "usd_per_month"),
        (b'{"tokens_per_day": -1}', "tokens_per_day"),
        (b'{"tokens_per_day": "5"}', "tokens_per_day"),
        (b'{"tokens_per_day": 5.5}', "tokens_per_day"),
        (b'{"models": []}', "models"),
        (b'{"models": [""]}', "models[0]"),
        (b'{"models": ["\\ud800"]}', "models[0]"),
        (b'{"models": ["a\\nb"]}', "models"),
        (b'{"tokens": 5}', "tokens"),
    ],
)
async def test_limits_that_make_no_sense(api: Api, limits: bytes, param: str) -> None:
    body = b'{"name": "x", "limits": ' + limits + b"}"
    refused = await api.whole("POST", "/workspaces", body, content_type="application/json")
    assert refused.fault == (400, "invalid_request", f"limits.{param}")


ROUTE = {"name": "fast", "targets": [{"model": "openai/gpt-4o"}]}
WORDS = {"name": "secret-plans", "kind": "words", "words": ["plan"]}


@pytest.mark.parametrize(
    ("sent", "param"),
    [
        ({"cache_ttl_seconds": 0}, "cache_ttl_seconds"),
        ({"cache_ttl_seconds": -1}, "cache_ttl_seconds"),
        ({"cache_ttl_seconds": 30 * 86_400 + 1}, "cache_ttl_seconds"),
        ({"cache_ttl_seconds": "60"}, "cache_ttl_seconds"),
        ({"cache_ttl_seconds": 1.5}, "cache_ttl_seconds"),
        *(({"timeout_seconds": seconds}, "timeout_seconds") for seconds in (0, -1, 3601, "60", True)),
        *(
            ({"batch_webhook": url}, "batch_webhook")
            for url in (
                "http://hook.example",
                "https://user:pw@hook.example",
                "hook.example",
                "https://h/" + "a" * 2048,
                5,
            )
        ),
        *(({"batch_mode": mode}, "batch_mode") for mode in ("half", "", None, 1)),
        *(({"trace_sample": share}, "trace_sample") for share in (-0.1, 1.1, "1", None, True)),
        *(({"trace_failures": flag}, "trace_failures") for flag in (1, "true", None)),
        *(({"trace_callers": flag}, "trace_callers") for flag in (0, "false", None)),
        *(({"trace_days": days}, "trace_days") for days in (0, 91, 7.5, "7", None)),
        *(({"trace_mask": names}, "trace_mask") for names in ("pii", None)),
        *(({"trace_mask": ["secrets", name]}, "trace_mask[1]") for name in ("nothing", 1)),
        ({"routes": None}, "routes"),
        ({"routes": {}}, "routes"),
        ({"routes": [3]}, "routes[0]"),
        ({"routes": [{"name": "fast"}]}, "routes[0].targets"),
        ({"routes": [{**ROUTE, "targets": []}]}, "routes[0].targets"),
        ({"routes": [{**ROUTE, "name": "a b"}]}, "routes[0].name"),
        ({"routes": [{**ROUTE, "by": "luck"}]}, "routes[0].by"),
        ({"routes": [{**ROUTE, "sticky": True}]}, "routes[0].sticky"),
        ({"routes": [{**ROUTE, "stiky": True}]}, "routes[0].stiky"),
        ({"routes": [ROUTE, ROUTE]}, "routes[1].name"),
        ({"routes": [{**ROUTE, "targets": [{"model": "gpt-4o"}]}]}, "routes[0].targets[0].model"),
        ({"routes": [{**ROUTE, "targets": [{"model": "openai/m", "weight": -1}]}]}, "routes[0].targets[0].weight"),
        ({"routes": [{**ROUTE, "targets": [{"model": "openai/m", "key": "OTHER"}]}]}, "routes[0].targets[0].key"),
        ({"routes": [{**ROUTE, "fallbacks": ["fast"]}]}, "routes[0].fallbacks[0]"),
        ({"routes": [{**ROUTE, "timeout_seconds": 0}]}, "routes[0].timeout_seconds"),
        ({"routes": [{**ROUTE, "name": f"r{i}"} for i in range(51)]}, "routes"),
        ({"guardrails": None}, "guardrails"),
        ({"guardrails": [{}]}, "guardrails[0].name"),
        ({"guardrails": [{**WORDS, "kind": "luck"}]}, "guardrails[0].kind"),
        ({"guardrails": [{**WORDS, "name": "secrets"}]}, "guardrails[0].name"),
        ({"guardrails": [WORDS, WORDS]}, "guardrails[1].name"),
        ({"guardrails": [{**WORDS, "words": []}]}, "guardrails[0].words"),
        ({"guardrails": [{**WORDS, "patterns": ["a"]}]}, "guardrails[0].patterns"),
        ({"guardrails": [{"name": "r", "kind": "regex", "patterns": ["("]}]}, "guardrails[0].patterns[0]"),
        ({"guardrails": [{"name": "s", "kind": "json_schema", "schema": 5}]}, "guardrails[0].schema"),
        ({"guardrails": [{"name": "h", "kind": "webhook", "url": "http://example.com"}]}, "guardrails[0].url"),
        ({"guardrails": [{"name": "h", "kind": "webhook", "secret": "X"}]}, "guardrails[0].secret"),
    ],
)
async def test_paths_that_make_no_sense(api: Api, sent: Any, param: str) -> None:
    made = await api.whole("POST", "/workspaces", {"name": "x", **sent})
    changed = await api.whole("PATCH", "/workspaces/ws_one", sent, if_match="*")
    assert made.fault == changed.fault == (400, "invalid_request", param)


async def test_routes_that_would_not_fit_into_an_item_are_refused(api: Api) -> None:
    targets = [{"model": f"openai/{'m' * 180}{i}"} for i in range(20)]
    routes = [{"name": f"r{i}", "targets": targets} for i in range(50)]
    assert (await api.whole("PATCH", "/workspaces/ws_one", {"routes": routes}, if_match="*")).fault == (
        *(400, "invalid_request"),
        "routes",
    )


@pytest.mark.parametrize("version", ['"2"', '"0"', "1", "nonsense", '"1", "2"', '""'])
async def test_a_version_that_is_not_the_current_one_is_stale(api: Api, version: str) -> None:
    await api.whole("POST", "/plans", {"id": "plan_a", "name": "A"})
    for path in ("/workspaces/ws_one", "/plans/plan_a"):
        assert (await api.whole("PATCH", path, {"name": "x"}, if_match=version)).fault == (412, "stale", None)
        assert (await api.whole("PATCH", path, {"name": "x"}, if_match="*")).status == 200


async def test_a_limit_below_what_is_used_needs_force(api: Api) -> None:
    await api.world.stores.meter.record(outcome())
    sent = {"limits": {"tokens_per_day": 22}}
    refused = await api.whole("PATCH", "/workspaces/ws_one", sent, if_match="*")
    assert refused.fault == (409, "limit_below_used", "limits.tokens_per_day")
    assert (await api.whole("PATCH", "/workspaces/ws_one?force=true", sent, if_match="*")).status == 200


async def test_shards_of_a_busy_workspace_stay(api: Api) -> None:
    await hold_tokens(api.world.stores, AccountScope("workspace", "ws_one", Limits(tokens_per_day=5)), 1)
    refused = await api.whole("PATCH", "/workspaces/ws_one", {"shards": 2}, if_match='"1"')
    assert refused.fault == (409, "account_busy", None)


async def test_a_key_that_only_reads_writes_nothing(api: Api) -> None:
    for method, path, body in (
        ("POST", "/workspaces", {"name": "x"}),
        ("POST", "/workspaces/ws_one/suspend", None),
        ("POST", "/keys", {"workspace_ids": ["ws_one"]}),
        ("PUT", "/workspaces/ws_one/members/x", {"role": "admin"}),
        ("POST", "/admins", {"name": "x", "scopes": ["write"]}),
    ):
        assert (await api.reader(method, path, body)).fault == (403, "admin_forbidden", None)


async def test_an_admin_of_one_workspace_cannot_tell_whether_there_are_others(api: Api) -> None:
    made = await api.whole("POST", "/keys", {"workspace_ids": ["ws_one", "ws_two"], "default_workspace_id": "ws_two"})
    key = made.json["id"]
    for method, path, body in (
        ("GET", "/workspaces/{}", None),
        ("GET", "/workspaces/{}/keys", None),
        ("GET", f"/workspaces/{{}}/keys/{key}", None),
        ("PATCH", f"/workspaces/{{}}/keys/{key}", {"name": "x"}),
        ("DELETE", f"/workspaces/{{}}/keys/{key}", None),
        ("GET", "/workspaces/{}/members", None),
        ("GET", "/workspaces/{}/members/x", None),
        ("PUT", "/workspaces/{}/members/x", {"role": "admin"}),
        ("DELETE", "/workspaces/{}/members/x", None),
        ("GET", "/workspaces/{}/usage", None),
        ("GET", "/workspaces/{}/calls", None),
        ("GET", "/workspaces/{}/audit", None),
    ):
        said = []
        for workspace_id in ("ws_two", "ws_no"):
            answer = await api.one(method, path.format(workspace_id), body, if_match="*")
            said.append((answer.fault, answer.json["error"]["message"].replace(workspace_id, "…")))
        assert said[0] == said[1]
        assert said[0][0][0] == 404
    own = await api.one("GET", f"/workspaces/ws_one/keys/{key}")
    assert (own.json["workspace_ids"], own.json["default_workspace_id"]) == (["ws_one"], None)
    assert [each["id"] for each in (await api.one("GET", "/workspaces")).json["data"]] == ["ws_one"]
    for path in ("/audit", "/admins"):
        assert (await api.one("GET", path)).fault == (403, "admin_forbidden", None)
    assert (await api.one("POST", "/workspaces/ws_one/suspend")).fault == (403, "admin_forbidden", None)
    assert (await api.one("POST", "/workspaces", {"name": "x"})).fault == (403, "admin_forbidden", None)


@pytest.mark.parametrize(
    ("path", "methods"),
    [
        ("/workspaces", "GET, POST"),
        ("/workspaces/ws_one", "DELETE, GET, PATCH"),
        ("/workspaces/ws_one/members/a/b", "DELETE, GET, PUT"),
        ("/workspaces/ws_one/keys/key_one", "DELETE, GET, PATCH"),
        ("/keys", "POST"),
        ("/openapi.json", "GET"),
    ],
)
async def test_a_method_that_is_not_allowed_hears_which_are(api: Api, path: str, methods: str) -> None:
    refused = await api.whole("OPTIONS", path)
    assert refused.fault == (405, "method_not_allowed", None)
    assert refused.headers["allow"] == methods


async def test_a_body_that_is_too_long_is_not_read(api: Api) -> None:
    refused = await api.whole("POST", "/workspaces", b"x" * (256 * 1024 + 1))
    assert refused.fault == (413, "request_too_large", None)


async def test_a_store_that_does_not_answer_is_a_503_and_a_bug_says_nothing(api: Api) -> None:
    class Broken:
        def __init__(self, error: Exception) -> None:
            self.error = error

        async def find(self, *_: object) -> None:
            raise self.error

    for error, status, code in (
        (StoreUnavailable("down", retry_after_seconds=1), 503, "store_unavailable"),
        (RuntimeError("a secret"), 500, "internal_error"),
    ):
        app = build_admin(replace(api.world.control, resources=Broken(error)))  # type: ignore[arg-type]
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://admin.test") as client:
            answer = await client.get("/admin/v1/workspaces", headers={"authorization": "Bearer x"})
        assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
        assert "secret" not in answer.text
