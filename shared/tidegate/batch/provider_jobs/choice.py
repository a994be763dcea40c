"""Decides whether a batch goes to its provider's own batch API, or is answered by calls."""

from typing import NamedTuple

from tidegate.batch.components import BatchComponents
from tidegate.catalog.batch_prices import BatchCatalog
from tidegate.chat.operation import CHAT
from tidegate.domain.batch import Batch, BatchMode
from tidegate.domain.deployment import Deployment
from tidegate.domain.workspace import Workspace
from tidegate.errors import StoreUnavailable, TidegateError
from tidegate.providers.batch_jobs.protocol import BatchJobs
from tidegate.providers.batch_jobs.registry import find_jobs

MODE_KEY = "tidegate_mode"
"""The key in a batch's metadata, with "calls" or "provider_batch"."""


class ModeChoice(NamedTuple):
    """How a batch is answered; and why by calls, if the provider's batch API was asked for."""

    mode: BatchMode
    reason: str | None = None


class JobTarget(NamedTuple):
    """The one deployment of a batch's lines, and its batch API."""

    deployment: Deployment
    jobs: BatchJobs


async def choose_mode(components: BatchComponents, batch: Batch) -> ModeChoice:
    """Return how a batch is answered whose input is valid: `batch` has its model and its number of lines.

    The batch's metadata decide, or else its workspace. Raises `StoreUnavailable`.
    """
    try:
        _, workspace = await components.callers.find_caller(batch.workspace_id, batch.key_id)
    except StoreUnavailable:
        raise
    except TidegateError:
        return ModeChoice("calls")  # the batch pauses for this reason
    if (batch.metadata or {}).get(MODE_KEY, workspace.batch_mode) != "provider_batch":
        return ModeChoice("calls")
    target = await find_target(components, batch, workspace)
    return ModeChoice("calls", target) if isinstance(target, str) else ModeChoice("provider_batch")


async def find_target(components: BatchComponents, batch: Batch, workspace: Workspace) -> JobTarget | str:
    """Return where the jobs of a batch go; or why there can be none, as a sentence for the caller."""
    if components.endpoints[batch.endpoint][1].name != CHAT.name:
        return "Only chat completions go to a provider's batch API."
    if batch.model is None:
        return "The lines of the batch name several models."
    gateway = components.gateway
    try:
        deployments = gateway.router.resolve(batch.model, workspace).deployments
    except TidegateError:
        return f"The model {batch.model!r} leads to no provider."
    if len(deployments) != 1:
        return f"The route {batch.model!r} has several deployments."
    deployment = deployments[0]
    jobs = find_jobs(deployment)
    if jobs is None:
        return f"The gateway knows no batch API of the provider {deployment.provider!r}."
    limits = jobs.limits
    if batch.total < limits.min_lines:
        return f"The provider needs at least {limits.min_lines} lines in a batch."
    if batch.expires_at - batch.created_at < limits.window_hours * 3600:
        return f"The provider promises an end only within {limits.window_hours} hours."
    if not BatchCatalog(gateway.catalog).has_batch_price(deployment.model_id):
        return f"The gateway knows no price of {deployment.model_id!r} in batches."
    if limits.transfer == "bucket" and not await _has_bucket(components, batch):
        return "The operator has not set the role with which the provider reads the bucket (bedrock_role)."
    return JobTarget(deployment, jobs)


async def _has_bucket(components: BatchComponents, batch: Batch) -> bool:
    return bool(components.options.bedrock_role) and await components.objects.uri(batch.input_key) is not None
