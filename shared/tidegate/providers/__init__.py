"""Providers: one upstream dialect each, pure. None is imported until a call needs it."""

from tidegate.providers.registry import ALIASES, ProviderSpec, Registry

__all__ = ["ALIASES", "ProviderSpec", "Registry"]
