"""A service account at Google, with a key of its own."""

from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key

KEY = generate_private_key(65537, 2048)
PEM = KEY.private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
).decode()
ACCOUNT: dict[str, Any] = {
    "type": "service_account",
    "client_email": "tidegate@project.invalid",
    "private_key": PEM,
    "private_key_id": "kid-1",
    "token_uri": "https://oauth.invalid/token",
}
