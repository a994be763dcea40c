"""Finds the batch API of a deployment."""

from tidegate.domain.deployment import Deployment
from tidegate.lazy import load
from tidegate.providers.batch_jobs.protocol import BatchJobs

_DIALECTS = {
    "openai": "tidegate.providers.batch_jobs.openai",
    "azure": "tidegate.providers.batch_jobs.openai",
    "groq": "tidegate.providers.batch_jobs.openai",
    "anthropic": "tidegate.providers.batch_jobs.anthropic",
    "gemini": "tidegate.providers.batch_jobs.gemini",
    "bedrock": "tidegate.providers.batch_jobs.bedrock",
}
"""The module that has the dialect of a provider.

Groq has OpenAI's files and batches: https://console.groq.com/docs/batch (read 2026-11).
"""


def find_jobs(deployment: Deployment) -> BatchJobs | None:
    """Return the batch API of the deployment; None if its provider has none that is known."""
    if deployment.provider not in _DIALECTS:
        return None
    return load(_DIALECTS[deployment.provider], "find_jobs")(deployment)
