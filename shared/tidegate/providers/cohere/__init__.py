"""Cohere's chat API, version 2."""

from tidegate.providers.cohere.provider import PROVIDER

__all__ = ["PROVIDER"]
