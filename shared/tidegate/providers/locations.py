"""Host names of cloud providers that depend on the region.

Source: https://docs.cloud.google.com/vertex-ai/generative-ai/docs/learn/locations (2026-11)
"""

_MULTI_REGIONS = frozenset({"us", "eu"})


def vertex_host(location: str) -> str:
    """Return Vertex AI's host for a region, a multi-region ("us" or "eu") or "global"."""
    if location == "global":
        return "aiplatform.googleapis.com"
    if location in _MULTI_REGIONS:
        return f"aiplatform.{location}.rep.googleapis.com"
    return f"{location}-aiplatform.googleapis.com"
