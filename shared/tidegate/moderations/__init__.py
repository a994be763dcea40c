"""Moderations as an operation: whether texts are harmful, and in which way. The inner dialect is OpenAI's.

Source: https://platform.openai.com/docs/api-reference/moderations/create (2026-11).

operation  the operation, as the pipeline knows it
request    requests: a text, a list of texts, or parts with images
"""
