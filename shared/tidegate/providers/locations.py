"""Hosts that depend on where a provider's cloud is asked.

Source: https://docs.cloud.google.com/vertex-ai/generative-ai/docs/learn/locations (2026-11)
"""

_MULTI_REGIONS = frozenset({"us", "eu"})


def vertex_host(location: str) -> str:
    """Vertex AI's host in a region, in the multi-regions "us" and "eu", or everywhere ("global")."""
    if location == "global":
        return "aiplatform.googleapis.com"
    if location in _MULTI_REGIONS:
        return f"aiplatform.{location}.rep.googleapis.com"
    return f"{location}-aiplatform.googleapis.com"
