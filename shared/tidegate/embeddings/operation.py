"""Embeddings as an `Operation`."""

from tidegate.embeddings.request import EmbeddingsRequest
from tidegate.texts.operation import TextsOperation

EMBEDDINGS = TextsOperation("embeddings", "input", EmbeddingsRequest, "data")
"""The `Operation` of `POST …/embeddings`."""
