"""Google's generateContent dialect, to and from OpenAI's: Gemini on AI Studio; on Vertex AI in `vertex.py`."""

from tidegate.providers.gemini.provider import PROVIDER

__all__ = ["PROVIDER"]
