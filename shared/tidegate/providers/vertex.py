"""Gemini on Vertex AI: the dialect of `providers/gemini`, at a project's location, with an access token.

Source: https://docs.cloud.google.com/vertex-ai/generative-ai/docs/learn/locations (2026-11). `upstream/google.py` gets
the tokens.
"""

import re

from tidegate.errors import ConfigurationError
from tidegate.providers.base import KeyAuth
from tidegate.providers.gemini.provider import Gemini

PROVIDER = Gemini("vertex", KeyAuth())

_NAME = re.compile(r"[a-z0-9][a-z0-9.:-]*")
_MULTI_REGIONS = frozenset({"us", "eu"})


def base_url(project: str, location: str) -> str:
    """The base URL for a project's calls in `location`: a region, "us", "eu" or "global".

    Raises `ConfigurationError` for names that are none.
    """
    for setting, value in (("project", project), ("location", location)):
        if not _NAME.fullmatch(value):
            raise ConfigurationError(f"{value!r} is not a {setting} of Google Cloud.")
    if location == "global":
        host = "aiplatform.googleapis.com"
    elif location in _MULTI_REGIONS:
        host = f"aiplatform.{location}.rep.googleapis.com"
    else:
        host = f"{location}-aiplatform.googleapis.com"
    return f"https://{host}/v1/projects/{project}/locations/{location}"
