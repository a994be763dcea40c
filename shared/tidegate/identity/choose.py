"""Creates the token services that only some processes need; their modules are imported only then."""

from collections.abc import Callable
from typing import TypeAlias

from msgspec import Struct

from tidegate.domain.identity import Identity, OidcIssuer
from tidegate.lazy import load
from tidegate.ports import AccessTokens, Secrets
from tidegate.transport.base import Transport
from tidegate.transport.sigv4 import AwsKeys


def add_google_tokens(secrets: Secrets, transport: Transport, aws_keys: AwsKeys | None, region: str) -> Secrets:
    """Wrap `secrets`, so that credentials of Vertex AI are replaced by a valid access token."""
    google = "tidegate.identity.google"
    role = load(google, "AwsRole")(aws_keys, region) if aws_keys else None
    return load(google, "GoogleSecrets")(secrets, transport, role)


CreateAccessTokens: TypeAlias = Callable[[OidcIssuer, Transport], AccessTokens]


class LateAccessTokens(Struct):
    """The port `AccessTokens` for one issuer. The first token loads the verifier, which takes 30 ms."""

    issuer: OidcIssuer
    transport: Transport
    _verifier: AccessTokens | None = None

    async def verify(self, token: str) -> Identity:
        """See `AccessTokens.verify`."""
        verifier = self._verifier
        if verifier is None:
            create: CreateAccessTokens = load("tidegate.identity.oidc", "OidcAccessTokens")
            verifier = self._verifier = create(self.issuer, self.transport)
        return await verifier.verify(token)


def create_access_tokens(issuer: OidcIssuer | None, transport: Transport) -> AccessTokens | None:
    """The verifier of the issuer's access tokens; None if no issuer is configured."""
    return None if issuer is None else LateAccessTokens(issuer, transport)
