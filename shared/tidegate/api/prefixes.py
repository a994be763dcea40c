"""Prefixes of paths, each for the clients of some API."""

RESPONSE_PREFIXES = ("/v1", "", "/openai/v1", "/api/v1")
"""Prefixes of the paths of `/responses` and `/conversations`."""

BATCH_PREFIXES = ("/v1", "", "/openai/v1", "/openai")
"""Prefixes of the paths of `/files`, `/uploads` and `/batches`."""
