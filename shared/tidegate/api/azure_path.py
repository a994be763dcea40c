"""The model in the path of Azure's API, which its body need not have.

Source: https://learn.microsoft.com/azure/ai-foundry/openai/reference (2026-11).
"""

from tidegate.chat.parse import decode_body
from tidegate.json import encode


def with_deployment(body: bytes, deployment: str) -> bytes:
    """Return the JSON object in `body` with `deployment` as its model, as at Azure. Raises `InvalidRequest`."""
    return encode({**decode_body(body), "model": deployment})
