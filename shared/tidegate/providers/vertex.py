"""Gemini on Vertex AI: the dialect of `providers/gemini`, at a project's location, with an access token.

Source: https://docs.cloud.google.com/vertex-ai/generative-ai/docs/learn/locations (2026-11). `identity/google.py`
obtains the tokens.
"""

from tidegate.providers.base import KeyAuth
from tidegate.providers.gemini.provider import Gemini

PROVIDER = Gemini("vertex", KeyAuth())
