"""Anthropic's Messages API."""

from tidegate.providers.anthropic.provider import PROVIDER

__all__ = ["PROVIDER"]
