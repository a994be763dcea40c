"""openai-python with an access token instead of a key; the issuer is a program on this machine, spoken to over HTTP."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import openai
import pytest
from openai import OpenAI

from tests.clients.world import DEMO_KEY, DEMO_WORKSPACE, serving, user
from tests.identity.issuing import AUDIENCE, public_ec, public_rsa, token

pytestmark = pytest.mark.slow


@contextmanager
def issuer() -> Iterator[str]:
    """Its URL."""

    class Site(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            url = f"http://127.0.0.1:{self.server.server_port}"
            documents = {
                "/.well-known/openid-configuration": {"issuer": url, "jwks_uri": f"{url}/keys"},
                "/keys": {"keys": [public_rsa(), public_ec()]},
            }
            body = json.dumps(documents[self.path]).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Site) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def test_a_service_account_calls_with_its_access_token() -> None:
    with issuer() as url:
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
