"""openai-python with an access token instead of a key; the issuer is a program on this machine, spoken to over HTTP."""

import time

import openai
import pytest
from openai import OpenAI

from tests.clients.issuer import issuing
from tests.clients.world import DEMO_KEY, DEMO_WORKSPACE, serving, user
from tests.identity.issuing import AUDIENCE, token

pytestmark = pytest.mark.slow


def test_a_service_account_calls_with_its_access_token() -> None:
    with issuing() as issuer:
        url = issuer.url
        env = {
            "TIDEGATE_OIDC_ISSUER": url,
            "TIDEGATE_OIDC_AUDIENCE": AUDIENCE,
            "TIDEGATE_OIDC_WORKSPACES_CLAIM": "workspaces",
        }
        now = time.time()
        good = {"iss": url, "iat": now, "exp": now + 600, "workspaces": DEMO_WORKSPACE}
        with serving("--store", "memory", env=env) as (program, port):

            def ask(key: str) -> str | None:
                with OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key=key, max_retries=0, timeout=30) as client:
                    stream = client.chat.completions.create(model="demo/echo", messages=user("Hello"), stream=True)
                    return "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices)

            said = ask(DEMO_KEY)
            for algorithm in ("RS256", "PS256", "ES256"):
                assert ask(token(algorithm, **good)) == said
            refusals = {
                "expired_token": {**good, "exp": now - 61},
                "invalid_token": {**good, "aud": "another"},
            }
            for code, claims in refusals.items():
                with pytest.raises(openai.AuthenticationError) as caught:
                    ask(token(**claims))
                assert caught.value.code == code
            with pytest.raises(openai.PermissionDeniedError):
                ask(token(**{**good, "workspaces": "ws_another"}))
        assert not any(part in line for line in program.err + program.out for part in token(**good).split("."))
