"""Embeddings as an operation: texts become vectors. The inner dialect is OpenAI's.

Source: https://platform.openai.com/docs/api-reference/embeddings/create (2026-11).

operation  the operation, as the pipeline knows it
request    requests: a text, a list of them, or their tokens
vectors    vectors as numbers and as base64
"""
