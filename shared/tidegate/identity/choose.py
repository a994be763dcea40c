"""The identity services that only some processes need, loaded where they are: Google's tokens, and those of callers."""

import importlib

from tidegate.domain.identity import OidcIssuer
from tidegate.ports import AccessTokens, Secrets
from tidegate.transport.base import Transport
from tidegate.transport.sigv4 import AwsKeys


def add_google_tokens(secrets: Secrets, transport: Transport, aws_keys: AwsKeys | None, region: str) -> Secrets:
    """`secrets`, in which the key of Vertex AI is always a token that is good."""
    google = importlib.import_module("tidegate.identity.google")
    return google.GoogleSecrets(secrets, transport, google.AwsRole(aws_keys, region) if aws_keys else None)


def create_access_tokens(issuer: OidcIssuer | None, transport: Transport) -> AccessTokens | None:
    """What verifies the issuer's access tokens; None where no issuer is configured."""
    if issuer is None:
        return None
    return importlib.import_module("tidegate.identity.oidc").OidcAccessTokens(issuer, transport)
