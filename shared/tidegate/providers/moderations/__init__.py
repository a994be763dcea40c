"""Moderations at the providers.

registry    the translator of a provider, and which providers have moderations
translator  moderations in OpenAI's dialect
"""
