"""Host names of cloud providers that depend on the region, or on the kind of key.

Source: https://docs.cloud.google.com/vertex-ai/generative-ai/docs/learn/locations (2026-11)
"""

from tidegate.providers.base import is_access_token

_MULTI_REGIONS = frozenset({"us", "eu"})


def is_google_api_key(key: str) -> bool:
    """Return True unless `key` is an access token, or the JSON of credentials."""
    return not key.lstrip().startswith("{") and not is_access_token(key)


def vertex_host(location: str) -> str:
    """Return Vertex AI's host for a region, a multi-region ("us" or "eu") or "global"."""
    if location == "global":
        return "aiplatform.googleapis.com"
    if location in _MULTI_REGIONS:
        return f"aiplatform.{location}.rep.googleapis.com"
    return f"{location}-aiplatform.googleapis.com"
