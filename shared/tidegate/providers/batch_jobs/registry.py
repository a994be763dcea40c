"""Finds the batch API of a deployment."""

from tidegate.domain.deployment import Deployment
from tidegate.lazy import load
from tidegate.providers.batch_jobs.base import BatchJobs

_DIALECTS = {
    "openai": "openai",
    "azure": "openai",
    "groq": "openai",
    "anthropic": "anthropic",
    "gemini": "gemini",
    "bedrock": "bedrock",
}
"""The module that has the dialect of a provider.

Groq has OpenAI's files and batches: https://console.groq.com/docs/batch (read 2026-11).
"""


def find_jobs(deployment: Deployment) -> BatchJobs | None:
    """Return the batch API of the deployment; None if its provider has none that is known."""
    module = _DIALECTS.get(deployment.provider)
    return None if module is None else load(f"tidegate.providers.batch_jobs.{module}", "find_jobs")(deployment)
