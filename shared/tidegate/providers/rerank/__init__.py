"""Rerank at the providers.

registry    the translator of a provider, and which providers have rerank
translator  a ranking in the dialects that are close to Cohere's
"""
