"""Creates the token services that only some processes need; their modules are imported only then."""

from tidegate.domain.identity import OidcIssuer
from tidegate.lazy import load
from tidegate.ports import AccessTokens, Secrets
from tidegate.transport.base import Transport
from tidegate.transport.sigv4 import AwsKeys


def add_google_tokens(secrets: Secrets, transport: Transport, aws_keys: AwsKeys | None, region: str) -> Secrets:
    """Wrap `secrets`, so that the key of Vertex AI is always a valid access token."""
    google = "tidegate.identity.google"
    role = load(google, "AwsRole")(aws_keys, region) if aws_keys else None
    return load(google, "GoogleSecrets")(secrets, transport, role)


def create_access_tokens(issuer: OidcIssuer | None, transport: Transport) -> AccessTokens | None:
    """The verifier of the issuer's access tokens; None if no issuer is configured."""
    if issuer is None:
        return None
    return load("tidegate.identity.oidc", "OidcAccessTokens")(issuer, transport)
