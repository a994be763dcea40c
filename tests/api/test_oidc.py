"""Callers with access tokens, through the door: what they are told, and what is recorded of them."""

import logging
import time
from typing import Any

import httpx
import pytest

from tests.identity.issuing import AUDIENCE, URL, IssuerSite, token
from tests.world import USER, Client, Reply, completion, world
from tidegate.domain.identity import hash_subject

BODY = {"model": "openai/gpt-4o-mini", "messages": USER}
ENV = {"TIDEGATE_OIDC_ISSUER": URL, "TIDEGATE_OIDC_AUDIENCE": AUDIENCE, "TIDEGATE_OIDC_WORKSPACES_CLAIM": "ws"}


class Site:
    """The issuer and the provider on one network."""

    def __init__(self) -> None:
        self.issuer = IssuerSite()

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.url.host == "issuer.example":
            return self.issuer(request)
        return httpx.Response(200, json=completion())


def fresh(algorithm: str = "RS256", **changed: Any) -> str:
    now = time.time()
    return token(algorithm, **{"iat": now, "exp": now + 600, "ws": "ws_test", **changed})


async def call(client: Client, bearer: str, **headers: str) -> Reply:
    return await client.post(BODY, headers={"authorization": f"Bearer {bearer}", **headers})


@pytest.mark.parametrize("algorithm", ["RS256", "PS256", "ES256"])
async def test_a_token_opens_its_workspace_and_its_subject_is_recorded(algorithm: str) -> None:
    async with world(Site(), **ENV) as client:
        assert (await call(client, fresh(algorithm))).status == 200
        (outcome,) = client.recorder.outcomes
        assert outcome.call.principal.key_id == f"oidc:{hash_subject(URL, 'service-1')[:16]}"
        assert outcome.call.workspace.id == "ws_test"


async def test_keys_are_taken_beside_tokens() -> None:
    site = Site()
    async with world(site, **ENV) as client:
        assert (await client.post(BODY)).status == 200
        assert site.issuer.asked == []


async def test_a_token_is_a_caller_at_every_endpoint() -> None:
    async with world(Site(), **ENV) as client:
        headers = {"authorization": f"Bearer {fresh()}", "x-workspace-id": "ws_test"}
        for path in ("/v1/models", "/v1/models/openai/gpt-4o", "/api/ds-prototypes/model_selection/models"):
            assert (await client.get(path, **headers)).status == 200


@pytest.mark.parametrize(
    ("changed", "status", "code", "message"),
    [
        ({"exp": 1}, 401, "expired_token", "The access token has expired: get a new one."),
        ({"aud": "other"}, 401, "invalid_token", "The access token is for another audience."),
        ({"iss": "https://other.example"}, 401, "invalid_token", "The access token is from another issuer."),
        (
            {"ws": "ws_other-one"},
            403,
            "workspace_forbidden",
            "This key may not use this workspace: it is unknown, suspended, or not granted.",
        ),
        ({"ws": ["ws_test", "ws_other"]}, 400, "missing_workspace_id", None),
    ],
)
async def test_what_is_wrong_is_said_in_our_envelope(
    changed: dict[str, Any], status: int, code: str, message: str | None
) -> None:
    async with world(Site(), **ENV) as client:
        reply = await call(client, fresh(**changed))
        error = reply.json["error"]
        assert (reply.status, error["code"], error["param"]) == (status, code, None)
        assert message in (None, error["message"])
        assert (
            error["type"]
            == {
                400: "invalid_request_error",
                401: "authentication_error",
                403: "permission_error",
            }[status]
        )
        assert "x-request-id" in reply.headers


async def test_a_dead_issuer_is_a_503_that_says_when_to_come_back() -> None:
    site = Site()
    site.issuer.down = 500
    async with world(site, **ENV) as client:
        reply = await call(client, fresh())
        assert (reply.status, reply.json["error"]["code"]) == (503, "issuer_unavailable")
        assert reply.headers["retry-after"] == "5"
        assert client.recorder.outcomes == []
        assert (await client.post(BODY)).status == 200  # keys need no issuer


async def test_no_part_of_a_token_is_logged_or_answered(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="tidegate")
    texts = [fresh(), fresh(exp=1), fresh(aud="other"), fresh() + "A", fresh()[:-9], "e30.e30.e30"]
    async with world(Site(), **ENV) as client:
        replies = [await call(client, text) for text in texts]
        said = b"".join(reply.body for reply in replies).decode() + str([r.__dict__ for r in caplog.records])
        assert replies[0].status == 200
        for part in {part for text in texts for part in text.split(".")} - {"e30"}:
            assert part not in said
        assert "service-1" not in said


async def test_without_an_issuer_a_token_is_an_unknown_key() -> None:
    site = Site()
    async with world(site) as client:
        reply = await call(client, fresh())
        assert (reply.status, reply.json["error"]["code"], site.issuer.asked) == (401, "invalid_api_key", [])
