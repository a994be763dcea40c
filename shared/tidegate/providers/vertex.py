"""Gemini on Vertex AI: the dialect of `providers/gemini`, with an access token or with an API key.

An access token needs a project and its location. An API key may have both; without them, it is one of express mode,
whose URLs name neither (https://cloud.google.com/vertex-ai/generative-ai/docs/start/express-mode/overview, read
2026-11). google-genai sends API keys in `x-goog-api-key` (`google/genai/_api_client.py`).

Source: https://docs.cloud.google.com/vertex-ai/generative-ai/docs/learn/locations (2026-11). `identity/google.py`
obtains the tokens.
"""

from tidegate.providers.base import KeyAuth
from tidegate.providers.gemini.provider import Gemini

PROVIDER = Gemini("vertex", KeyAuth("x-goog-api-key", ""))
