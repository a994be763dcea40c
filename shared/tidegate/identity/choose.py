"""The identity services that only some processes need, loaded where they are: Google's tokens, and those of callers."""

import importlib

from tidegate.domain.identity import Issuer
from tidegate.ports import Secrets, Tokens
from tidegate.transport.base import Transport
from tidegate.transport.sigv4 import AwsKeys


def google_secrets(secrets: Secrets, transport: Transport, aws_keys: AwsKeys | None, region: str) -> Secrets:
    """`secrets`, in which the key of Vertex AI is always a token that is good."""
    google = importlib.import_module("tidegate.identity.google")
    return google.GoogleSecrets(secrets, transport, google.Aws(aws_keys, region) if aws_keys else None)


def access_tokens(issuer: Issuer | None, transport: Transport) -> Tokens | None:
    """What verifies the issuer's access tokens; None where no issuer is configured."""
    if issuer is None:
        return None
    return importlib.import_module("tidegate.identity.oidc").OidcTokens(issuer, transport)
