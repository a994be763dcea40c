"""What an OIDC subject is given, over the admin API."""

from typing import Any

from tests.api.admin.world import Api
from tidegate.domain.identity import grant_id, hash_subject

ISSUER = "https://issuer.example"
ID = grant_id(hash_subject(ISSUER, "service-1"), "ws_one")


def body(*workspace_ids: str, subject: Any = "service-1", **key: Any) -> dict[str, Any]:
    return {"issuer": ISSUER, "subject": subject, "key": {"workspace_ids": list(workspace_ids), **key}}


async def test_a_subject_is_given_shown_changed_and_revoked_like_a_key(api: Api) -> None:
    made = await api.one("POST", "/subjects", body("ws_one", endpoints=["/v1/*"], limits={"tokens_per_day": 5}))
    assert (made.status, made.json["id"], made.json["name"]) == (201, ID, "service-1")
    assert (made.json["endpoints"], made.json["limits"]["tokens_per_day"]) == (["/v1/*"], 5)
    assert not made.json.get("secret")
    at = f"/workspaces/ws_one/keys/{ID}"
    assert (await api.one("GET", at)).json == made.json
    changed = await api.one("PATCH", at, {"networks": ["192.0.2.1"]}, if_match=made.headers["etag"])
    assert changed.json["networks"] == ["192.0.2.1/32"]
    assert (await api.one("POST", f"{at}/rotate")).fault == (409, "conflict", None)
    assert (await api.one("DELETE", at)).json["status"] == "revoked"
    assert (await api.one("GET", at)).status == 404
    assert (await api.one("POST", "/subjects", body("ws_one"))).status == 201


async def test_what_is_wrong_with_it_is_said(api: Api) -> None:
    for sent, fault in (
        (body(), (400, "key_without_workspace", "workspace_ids")),
        (body("ws_two"), (404, "not_found", "workspace_id")),
        (body("ws_one", subject=""), (400, "invalid_request", "subject")),
        (body("ws_one", subject="x" * 256), (400, "invalid_request", "subject")),
        (body("ws_one", subject=5), (400, "invalid_request", "subject")),
        ({**body("ws_one"), "issuer": ""}, (400, "invalid_request", "issuer")),
        ({"issuer": ISSUER, "subject": "x"}, (400, "invalid_request", "key")),
    ):
        assert (await api.one("POST", "/subjects", sent)).fault == fault
    assert (await api.reader("POST", "/subjects", body("ws_one"))).status == 403
    assert (await api.stranger("POST", "/subjects", body("ws_one"))).status == 401


async def test_a_repeated_grant_is_answered_with_200_and_a_different_one_with_409(api: Api) -> None:
    created, repeated = [await api.one("POST", "/subjects", body("ws_one")) for _ in range(2)]
    assert (created.status, repeated.status, repeated.json) == (201, 200, created.json)
    assert (await api.one("POST", "/subjects", body("ws_one", name="x"))).fault == (409, "already_exists", "subject")
    several = await api.whole("POST", "/subjects", body("ws_two"))
    assert (several.status, several.json["id"] != ID) == (201, True)
    both = await api.whole("POST", "/subjects", body("ws_one", "ws_two", subject="service-2"))
    assert (both.status, both.json["workspace_ids"]) == (201, ["ws_one", "ws_two"])
