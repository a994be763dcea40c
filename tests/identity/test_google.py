"""Tokens for Vertex AI, against a Google of our own behind the transport."""

import json
from base64 import urlsafe_b64decode
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, unquote

import anyio
import httpx
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from tests.identity.google_account import ACCOUNT, KEY
from tidegate.errors import NotConfigured, ProviderAuth, ProviderMalformed, ProviderOverloaded, TidegateError
from tidegate.identity.google import AwsRole, GoogleAccessTokens, GoogleSecrets
from tidegate.transport.httpx import HttpxTransport
from tidegate.transport.sigv4 import AwsKey, SigningScope, sign

NOW = 1_800_000_000.0
AUDIENCE = "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/pool/providers/aws"
ROLE: dict[str, Any] = {
    "type": "external_account",
    "audience": AUDIENCE,
    "subject_token_type": "urn:ietf:params:aws:token-type:aws4_request",
    "token_url": "https://sts.invalid/v1/token",
    "credential_source": {
        "environment_id": "aws1",
        "regional_cred_verification_url": "https://sts.{region}.amazonaws.com?Action=GetCallerIdentity&Version=2011-06-15",
    },
}
AWS_KEY = AwsKey("an-id", "a-secret", "a-session")


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


class Google:
    """What was asked, and the answers in the order given; the last one stays."""

    def __init__(self, *answers: tuple[int, Any]) -> None:
        self.asked: list[httpx.Request] = []
        self._answers = list(answers)
        self.transport = HttpxTransport(httpx.MockTransport(self._answer))

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        status, body = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        return httpx.Response(status, json=body)

    def form(self, place: int = 0) -> dict[str, str]:
        return {name: value for name, (value,) in parse_qs(self.asked[place].content.decode()).items()}


class Settings:
    def __init__(self, **values: str) -> None:
        self.values = values

    def cached(self, name: str) -> str | None:
        return self.values.get(name)

    async def get(self, name: str) -> str | None:
        return self.values.get(name)


async def keys() -> AwsKey:
    return AWS_KEY


async def ask(google: Google, credentials: Any, clock: Callable[[], float] | None = None, *, role: bool = True) -> str:
    aws = AwsRole(keys, "eu-central-1") if role else None
    return await GoogleAccessTokens(credentials, google.transport, aws, clock or Clock()).token()


def given(seconds: int = 3600, token: str = "token-1") -> tuple[int, Any]:
    return 200, {"access_token": token, "expires_in": seconds, "token_type": "Bearer"}


def unpadded(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


async def test_a_service_account_proves_itself_with_a_signed_claim() -> None:
    google = Google(given())
    assert await ask(google, ACCOUNT) == "token-1"
    (request,) = google.asked
    assert (str(request.url), request.headers["content-type"]) == (
        "https://oauth.invalid/token",
        "application/x-www-form-urlencoded",
    )
    form = google.form()
    assert form["grant_type"] == "urn:ietf:params:oauth:grant-type:jwt-bearer"
    head, claims, signature = form["assertion"].split(".")
    assert json.loads(unpadded(head)) == {"alg": "RS256", "typ": "JWT", "kid": "kid-1"}
    assert json.loads(unpadded(claims)) == {
        "iss": "tidegate@project.invalid",
        "scope": "https://www.googleapis.com/auth/cloud-platform",
        "aud": "https://oauth.invalid/token",
        "iat": int(NOW),
        "exp": int(NOW) + 3600,
    }
    KEY.public_key().verify(unpadded(signature), f"{head}.{claims}".encode(), padding.PKCS1v15(), hashes.SHA256())


async def test_a_role_at_aws_proves_itself_with_a_signed_call() -> None:
    google = Google(given())
    assert await ask(google, ROLE) == "token-1"
    form = google.form()
    proof = json.loads(unquote(form.pop("subject_token")))
    assert form == {
        "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
        "audience": AUDIENCE,
        "scope": "https://www.googleapis.com/auth/cloud-platform",
        "requested_token_type": "urn:ietf:params:oauth:token-type:access_token",
        "subject_token_type": "urn:ietf:params:aws:token-type:aws4_request",
    }
    url = "https://sts.eu-central-1.amazonaws.com?Action=GetCallerIdentity&Version=2011-06-15"
    signed = sign(
        "POST",
        url,
        {"x-goog-cloud-target-resource": AUDIENCE},
        b"",
        AWS_KEY,
        SigningScope("sts", "eu-central-1"),
        at=NOW,
    )
    headers = {entry["key"]: entry["value"] for entry in proof["headers"]}
    assert (proof["url"], proof["method"]) == (url, "POST")
    assert headers == signed | {"host": "sts.eu-central-1.amazonaws.com"}
    assert "a-secret" not in json.dumps(proof)


async def test_a_role_may_stand_for_a_service_account() -> None:
    google = Google(given(token="federated"), (200, {"accessToken": "token-2", "expireTime": "2027-01-15T09:00:00Z"}))
    assert (
        await ask(google, ROLE | {"service_account_impersonation_url": "https://iam.invalid/sa:generateAccessToken"})
        == "token-2"
    )
    request = google.asked[1]
    assert request.headers["authorization"] == "Bearer federated"
    assert json.loads(request.content) == {
        "scope": ["https://www.googleapis.com/auth/cloud-platform"],
        "lifetime": "3600s",
    }


async def test_a_token_serves_until_five_minutes_before_it_expires() -> None:
    google, clock = Google(given(token="first"), given(token="second")), Clock()
    tokens = GoogleAccessTokens(ACCOUNT, google.transport, clock=clock)
    got = [await tokens.token()]
    clock.now += 3299
    got.append(await tokens.token())
    clock.now += 2
    got.append(await tokens.token())
    assert got == ["first", "first", "second"]
    assert "first" not in repr(tokens)
    assert "PRIVATE" not in repr(tokens)


async def test_calls_at_the_same_time_share_one_question() -> None:
    google = Google(given())
    tokens = GoogleAccessTokens(ACCOUNT, google.transport, clock=Clock())
    async with anyio.create_task_group() as group:
        for _ in range(5):
            group.start_soon(tokens.token)
    assert len(google.asked) == 1


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (
            (400, {"error": "invalid_grant", "error_description": "Invalid JWT for tidegate@project.invalid."}),
            ProviderAuth,
        ),
        ((403, {"error": {"status": "PERMISSION_DENIED", "message": "x"}}), ProviderAuth),
        ((503, {}), ProviderOverloaded),
        ((200, {"access_token": "a"}), ProviderMalformed),
        ((200, []), ProviderMalformed),
    ],
)
async def test_a_refusal_says_why_and_nothing_secret(answer: Any, kind: type[TidegateError]) -> None:
    with pytest.raises(kind) as caught:
        await ask(Google(answer), ACCOUNT)
    assert "tidegate@project.invalid" not in caught.value.message


@pytest.mark.parametrize(
    ("credentials", "why"),
    [
        ({}, "the JSON of a service account"),
        ({"type": "authorized_user"}, "the JSON of a service account"),
        (ACCOUNT | {"private_key": "-----BEGIN"}, "the private key is not a valid PEM key"),
        (ACCOUNT | {"token_uri": "http://oauth.invalid"}, "https://"),
        (ROLE | {"credential_source": {"file": "/token"}}, "not AWS"),
    ],
)
async def test_credentials_that_cannot_be_used_say_why(credentials: Any, why: str) -> None:
    google = Google(given())
    with pytest.raises(NotConfigured, match=why):
        await ask(google, credentials)
    assert google.asked == []


async def test_a_role_needs_a_process_at_aws() -> None:
    with pytest.raises(NotConfigured, match="no AWS credentials"):
        await ask(Google(given()), ROLE, role=False)


@pytest.mark.parametrize(
    ("settings", "key", "questions"),
    [
        ({"VERTEX_API_KEY": "ready-token"}, "ready-token", 0),
        ({"VERTEX_API_KEY": json.dumps(ACCOUNT)}, "token-1", 1),
        ({"GOOGLE_VERTEX_CREDENTIALS": json.dumps(ACCOUNT)}, "token-1", 1),
        ({}, None, 0),
    ],
)
async def test_the_key_of_vertex_is_a_token_wherever_it_comes_from(
    settings: Any, key: str | None, questions: int
) -> None:
    google = Google(given())
    secrets = GoogleSecrets(Settings(**settings, OPENAI_API_KEY="other"), google.transport, clock=Clock())
    got = [await secrets.get(name) for name in ("VERTEX_API_KEY", "VERTEX_API_KEY", "OPENAI_API_KEY")]
    assert got == [key, key, "other"]
    assert [secrets.cached(name) for name in ("VERTEX_API_KEY", "OPENAI_API_KEY")] == [None, "other"]
    assert len(google.asked) == questions


async def test_new_credentials_get_a_new_token() -> None:
    google = Google(given(token="first"), given(token="second"))
    inner = Settings(VERTEX_API_KEY=json.dumps(ACCOUNT))
    secrets = GoogleSecrets(inner, google.transport, clock=Clock())
    got = [await secrets.get("VERTEX_API_KEY")]
    inner.values["VERTEX_API_KEY"] = json.dumps(ACCOUNT | {"private_key_id": "kid-2"})
    got.append(await secrets.get("VERTEX_API_KEY"))
    assert got == ["first", "second"]


async def test_credentials_that_are_no_json_are_refused() -> None:
    secrets = GoogleSecrets(Settings(VERTEX_API_KEY="{"), Google(given()).transport)
    with pytest.raises(NotConfigured, match="not JSON"):
        await secrets.get("VERTEX_API_KEY")
