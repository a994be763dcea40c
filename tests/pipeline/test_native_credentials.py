"""What native providers are shown: signatures of AWS, tokens of Google, keys; and nothing of them to anybody else."""

import asyncio
import json
import re
import time
from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests.identity.google_account import ACCOUNT, PEM
from tests.native_providers import BEARER, BEDROCK, VERTEX, ask, handler_of, streamed
from tests.world import Exchange, Handler, answers, world

AWS = {
    "AWS_REGION": "eu-central-1",
    "AWS_ACCESS_KEY_ID": "not-an-access-key",
    "AWS_SECRET_ACCESS_KEY": "not-a-secret-key",
    "AWS_SESSION_TOKEN": "not-a-session-token",
}
PROJECT = {"GOOGLE_VERTEX_PROJECT": "harbour-1", "GOOGLE_VERTEX_LOCATION": "europe-west4"}
GOOGLE = {**PROJECT, "GOOGLE_VERTEX_CREDENTIALS": json.dumps(ACCOUNT)}


def signed_by_botocore(request: httpx.Request, region: str) -> str:
    """The authorization that AWS's own signer gives to the same request at the same second."""
    key = Credentials(AWS["AWS_ACCESS_KEY_ID"], AWS["AWS_SECRET_ACCESS_KEY"], AWS["AWS_SESSION_TOKEN"])
    head = {"content-type": request.headers["content-type"]}
    same = AWSRequest("POST", str(request.url), data=request.content, headers=head)
    signer = SigV4Auth(key, "bedrock", region)
    same.context["timestamp"] = request.headers["x-amz-date"]
    same.headers["X-Amz-Date"] = request.headers["x-amz-date"]
    same.headers["X-Amz-Security-Token"] = AWS["AWS_SESSION_TOKEN"]
    canonical = signer.canonical_request(same)
    text = signer.string_to_sign(same, canonical)
    return signer.signature(text, same)


@streamed
@pytest.mark.parametrize("region", ["eu-central-1", "us-west-2"])
async def test_bedrock_is_called_with_a_signature_for_its_region(stream: bool, region: str) -> None:
    env = AWS if region == AWS["AWS_REGION"] else {**AWS, "BEDROCK_REGION": region}
    async with world(handler_of(BEDROCK), **env) as client:
        assert (await client.post(ask(BEDROCK, stream=stream))).status == 200
        (request,) = client.requests
        assert request.url.host == f"bedrock-runtime.{region}.amazonaws.com"
        found = re.fullmatch(
            r"AWS4-HMAC-SHA256 Credential=([^,]+), SignedHeaders=([^,]+), Signature=([0-9a-f]{64})",
            request.headers["authorization"],
        )
        assert found is not None
        day = time.strftime("%Y%m%d", time.gmtime())
        assert found[1] == f"{AWS['AWS_ACCESS_KEY_ID']}/{day}/{region}/bedrock/aws4_request"
        assert {"host", "x-amz-date", "x-amz-security-token"} <= set(found[2].split(";"))
        assert found[3] == signed_by_botocore(request, region)
        assert request.headers["x-amz-security-token"] == AWS["AWS_SESSION_TOKEN"]


@streamed
async def test_a_bearer_token_stands_in_for_the_signature(stream: bool) -> None:
    async with world(handler_of(BEDROCK), **{**AWS, "AWS_BEARER_TOKEN_BEDROCK": BEARER}) as client:
        assert (await client.post(ask(BEDROCK, stream=stream))).status == 200
        (request,) = client.requests
        assert request.headers["authorization"] == f"Bearer {BEARER}"
        assert not [name for name in request.headers if name.startswith("x-amz-")]


async def test_no_part_of_a_signature_is_told(caplog: pytest.LogCaptureFixture) -> None:
    """AWS repeats the canonical request where a signature is wrong."""
    caplog.set_level("DEBUG")
    words = (
        "The request signature we calculated does not match. Credential=not-an-access-key/20260101 "
        "x-amz-security-token:not-a-session-token account 123456789012"
    )
    headers = {"x-amzn-errortype": "InvalidSignatureException:http://internal.amazon.com/"}
    async with world(answers({"message": words}, 403, headers=headers), **AWS) as client:
        reply = await client.post(ask(BEDROCK))
        assert (reply.status, reply.json["error"]["code"]) == (502, "provider_auth_error")
        logged = " ".join(str(record.__dict__) for record in caplog.records if record.name.startswith("tidegate"))
        for secret in ("not-an-access-key", "not-a-session-token", "123456789012", "not-a-secret-key"):
            assert secret not in reply.body.decode() + logged


def google(status: int = 200, answer: Any = None, seconds: int = 3600) -> Handler:
    """Google's token endpoint, whose tokens are numbered, and Vertex AI behind it."""
    given = 0
    vertex = handler_of(VERTEX)

    def handler(request: httpx.Request) -> httpx.Response:
        nonlocal given
        if request.url.host == "oauth.invalid":
            given += 1
            token = {"access_token": f"not-a-token-{given}", "expires_in": seconds, "token_type": "Bearer"}
            return httpx.Response(status, json=answer or token)
        return vertex(request)

    return handler


async def test_vertex_is_called_with_one_token_for_many_calls() -> None:
    async with world(google(), **GOOGLE) as client:
        for stream in (False, True, False):
            assert (await client.post(ask(VERTEX, stream=stream))).status == 200
        asked, *calls = client.requests
        (assertion,) = parse_qs(asked.content.decode())["assertion"]
        assert (str(asked.url), assertion.count(".")) == (ACCOUNT["token_uri"], 2)
        assert [request.headers["authorization"] for request in calls] == ["Bearer not-a-token-1"] * 3
        assert {request.url.host for request in calls} == {"europe-west4-aiplatform.googleapis.com"}


async def test_calls_at_once_wait_for_the_same_token() -> None:
    async with world(google(), **GOOGLE) as client:
        exchanges = [Exchange(client.app, ask(VERTEX), "/v1/chat/completions") for _ in range(5)]
        await asyncio.gather(*(exchange.run() for exchange in exchanges))
        assert [exchange.reply().status for exchange in exchanges] == [200] * 5
        hosts = [request.url.host for request in client.requests]
        assert hosts.count("oauth.invalid") == 1


async def test_a_token_that_expires_soon_is_replaced() -> None:
    async with world(google(seconds=200), **GOOGLE) as client:
        for _ in range(2):
            assert (await client.post(ask(VERTEX))).status == 200
        tokens = [r.headers["authorization"] for r in client.requests if r.url.host != "oauth.invalid"]
        assert tokens == ["Bearer not-a-token-1", "Bearer not-a-token-2"]


@streamed
@pytest.mark.parametrize(
    ("status", "answer", "answered", "code"),
    [
        (400, {"error": "invalid_grant", "error_description": "tidegate@project.invalid"}, 502, "provider_auth_error"),
        (503, {"error": "backend"}, 503, "provider_overloaded"),
        (200, {"nothing": 1}, 502, "provider_malformed_response"),
    ],
)
async def test_a_token_that_cannot_be_had_is_told_without_a_secret(
    status: int, answer: Any, answered: int, code: str, stream: bool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    async with world(google(status, answer), **GOOGLE) as client:
        reply = await client.post(ask(VERTEX, stream=stream))
        assert (reply.status, reply.json["error"]["code"]) == (answered, code)
        assert [(o.status, o.error_code) for o in client.recorder.outcomes] == [("failed", code)]
        logged = " ".join(str(record.__dict__) for record in caplog.records if record.name.startswith("tidegate"))
        for secret in (ACCOUNT["client_email"], PEM.splitlines()[1], "assertion"):
            assert secret not in reply.body.decode() + logged


@pytest.mark.parametrize("text", ["{not json", '{"type": "authorized_user"}'])
async def test_credentials_that_are_none_are_told_by_their_setting(text: str) -> None:
    async with world(google(), **{**PROJECT, "GOOGLE_VERTEX_CREDENTIALS": text}) as client:
        reply = await client.post(ask(VERTEX))
        error = reply.json["error"]
        assert (reply.status, error["code"]) == (503, "provider_not_configured")
        assert error["message"].startswith("GOOGLE_VERTEX_CREDENTIALS cannot be used: it ")
        assert text not in error["message"]


async def test_a_refused_token_is_not_told() -> None:
    """Vertex repeats tokens in some of its refusals."""
    tokens = google()

    def handler(request: httpx.Request) -> httpx.Response:
        if request.url.host == "oauth.invalid":
            return tokens(request)
        words = f"Bad header: {request.headers['authorization']}"
        body = {"error": {"code": 400, "message": words, "status": "INVALID_ARGUMENT"}}
        return httpx.Response(400, json=body)

    async with world(handler, **GOOGLE) as client:
        reply = await client.post(ask(VERTEX))
        assert reply.status == 400
        assert "not-a-token-1" not in reply.body.decode()
