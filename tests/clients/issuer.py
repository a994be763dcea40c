"""An OIDC issuer on this machine: discovery, keys, and the authorization code flow with PKCE, without a login page.

Sources: RFC 6749, RFC 7009, RFC 7636; OpenID Connect Core 1.0 and Discovery 1.0.
"""

import hashlib
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from tests.identity.issuing import AUDIENCE, base64, public_ec, public_rsa, token

CLIENT = "dashboard"


@dataclass
class Issuer:
    """Signs every visitor in as `subject`, with `claims` besides. Its tokens live for `seconds`.

    `refresh_tokens` are those that renew; `issued` counts the tokens, `revoked` are those that a client gave back.
    """

    url: str = ""
    subject: str = "ada"
    claims: dict[str, Any] = field(default_factory=dict[str, Any])
    seconds: float = 600
    renews: bool = False
    is_down: bool = False
    nonce: str | None = None
    issued: int = 0
    refresh_tokens: set[str] = field(default_factory=set[str])
    revoked: list[str] = field(default_factory=list[str])
    codes: dict[str, dict[str, str]] = field(default_factory=dict[str, dict[str, str]])

    def documents(self) -> dict[str, Any]:
        configuration = {
            "issuer": self.url,
            "jwks_uri": f"{self.url}/keys",
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "revocation_endpoint": f"{self.url}/revoke",
        }
        return {"/.well-known/openid-configuration": configuration, "/keys": {"keys": [public_rsa(), public_ec()]}}

    def authorize(self, asked: dict[str, str]) -> str:
        """Return the address to which the browser is sent back."""
        expected = {"response_type": "code", "client_id": CLIENT, "code_challenge_method": "S256", "audience": AUDIENCE}
        assert {name: asked.get(name) for name in expected} == expected
        code = f"code-{len(self.codes)}"
        self.codes[code] = asked
        return f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state']})}"

    def give_tokens(self, form: dict[str, str]) -> dict[str, Any] | None:
        """Return the tokens of a code, which works once, or of a refresh token; None refuses."""
        if form.get("client_id") != CLIENT:
            return None
        nonce = None
        if form["grant_type"] == "refresh_token":
            if form["refresh_token"] not in self.refresh_tokens:
                return None
        else:
            asked = self.codes.pop(form["code"], None)
            challenge = base64(hashlib.sha256(form["code_verifier"].encode()).digest())
            if asked is None or asked["code_challenge"] != challenge or asked["redirect_uri"] != form["redirect_uri"]:
                return None
            nonce = self.nonce or asked["nonce"]
        return self._tokens(nonce)

    def _tokens(self, nonce: str | None) -> dict[str, Any]:
        self.issued += 1
        now = time.time()
        times: dict[str, Any] = {"iss": self.url, "sub": self.subject, "iat": now - 3600, "exp": now + self.seconds}
        tokens: dict[str, Any] = {
            "access_token": token(**times, **self.claims, jti=str(self.issued)),
            "token_type": "Bearer",
            "expires_in": max(1, int(self.seconds)),
            "id_token": token(head={"typ": "JWT"}, **{**times, "aud": CLIENT, "nonce": nonce}),
        }
        if self.renews:
            tokens["refresh_token"] = f"refresh-{self.issued}"
            self.refresh_tokens = {tokens["refresh_token"]}
        return tokens


class _Site(BaseHTTPRequestHandler):
    issuer: Issuer

    def do_GET(self) -> None:
        address = urlsplit(self.path)
        if self.issuer.is_down:
            self._answer(503, {})
        elif address.path == "/authorize":
            self.send_response(302)
            self.send_header("location", self.issuer.authorize(_fields(address.query)))
            self.end_headers()
        else:
            self._answer(200, self.issuer.documents().get(address.path, {}))

    def do_POST(self) -> None:
        form = _fields(self.rfile.read(int(self.headers["content-length"])).decode())
        if self.issuer.is_down:
            self._answer(503, {})
        elif self.path == "/revoke":
            self.issuer.revoked.append(form["token"])
            self._answer(200, {})
        else:
            tokens = self.issuer.give_tokens(form)
            self._answer(400 if tokens is None else 200, tokens or {"error": "invalid_grant"})

    def _answer(self, status: int, document: Any) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        for name, text in (("access-control-allow-origin", "*"), ("content-length", str(len(body)))):
            self.send_header(name, text)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


def _fields(text: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(text).items()}


@contextmanager
def issuing() -> Iterator[Issuer]:
    """Run an issuer."""
    issuer = Issuer()
    site = type("Site", (_Site,), {"issuer": issuer})
    with ThreadingHTTPServer(("127.0.0.1", 0), site) as server:
        issuer.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield issuer
        finally:
            server.shutdown()
            thread.join()
