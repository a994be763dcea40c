"""All that the steps of one batch's jobs use: who pays, the provider's batch API, and requests to it."""

import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from tidegate.batch.components import BatchComponents
from tidegate.batch.keys import batch_prefix
from tidegate.batch.transitions import change_batch
from tidegate.catalog.batch_prices import BatchCatalog
from tidegate.domain.batch import Batch, ProviderJob
from tidegate.domain.deployment import Deployment
from tidegate.domain.operation import Operation
from tidegate.domain.surface import Surface
from tidegate.domain.workspace import Principal, Workspace
from tidegate.errors import ProviderMalformed
from tidegate.gateway import Gateway
from tidegate.json import Json, decode_reply
from tidegate.providers.base import Translator
from tidegate.providers.batch_jobs.protocol import BatchJobs, JobRequest, JobSpec
from tidegate.transport.base import HttpResponse

MAX_REPLY_BYTES = 64 * 1024 * 1024
MAX_SECONDS = 600.0
"""The longest request: a download of results, or an upload of lines."""


class JobContext(Struct, frozen=True):
    """One batch with its jobs, in one process, until `deadline` in UTC seconds.

    `gateway` has the provider's prices for batches.
    """

    components: BatchComponents
    batch: Batch
    principal: Principal
    workspace: Workspace
    gateway: Gateway
    deployment: Deployment
    jobs: BatchJobs
    deadline: float
    monotonic: Callable[[], float] = time.monotonic

    @property
    def surface(self) -> Surface:
        return self.components.endpoints[self.batch.endpoint][0]

    @property
    def operation(self) -> Operation:
        return self.components.endpoints[self.batch.endpoint][1]

    @property
    def translator(self) -> Translator:
        return self.gateway.providers.translator(self.deployment.provider, self.operation.name)

    @property
    def reference(self) -> str:
        """The beginning of the keys of all lines and the references of all jobs: the batch's id, letters and digits."""
        return "".join(filter(str.isalnum, self.batch.id.removeprefix("batch_")))

    @property
    def remaining_seconds(self) -> float:
        return self.deadline - self.components.clock()

    def key(self, name: str) -> str:
        """The name of an object of the batch's jobs, which is deleted with those of the batch."""
        return f"{batch_prefix(self.batch.workspace_id, self.batch.id)}jobs/{name}"

    def spec(self, job: ProviderJob, headers: dict[str, str] | None = None) -> JobSpec:
        return JobSpec(self.deployment, job.reference, job.endpoint, headers or {})

    async def change(self, change: Callable[[Batch], Batch | None]) -> "JobContext | None":
        """Write a change of the batch; return the context with the batch as stored, None if nothing was written."""
        changed = await change_batch(self.components, self.batch.workspace_id, self.batch.id, change)
        return None if changed is None else replace(self, batch=changed)

    async def change_job(self, job: ProviderJob, **fields: object) -> "JobContext | None":
        """Change fields of a job. None if the job is not as it was when this process read it."""

        def change(stored: Batch) -> Batch | None:
            if job not in stored.jobs:
                return None
            changed = replace(job, **fields)
            return replace(stored, jobs=tuple(changed if each == job else each for each in stored.jobs))

        return await self.change(change)

    def job(self, reference: str) -> ProviderJob:
        return next(job for job in self.batch.jobs if job.reference == reference)

    @asynccontextmanager
    async def send(self, request: JobRequest) -> AsyncGenerator[HttpResponse]:
        """Send a request to the provider; yield its response. Raises the `UpstreamError` of one outside 2xx."""
        gateway, deployment = self.gateway, self.deployment
        async with gateway.upstream.send(
            deployment.provider,
            request.method,
            request.request,
            secret=deployment.secret,
            seconds=max(1.0, min(MAX_SECONDS, self.remaining_seconds)),
            workspace_keys=gateway.workspace_keys.secrets_for(self.workspace, deployment.secret),
        ) as response:
            if not 200 <= response.status < 300:
                body = _decode_body(await response.read(MAX_REPLY_BYTES))
                raise self.translator.parse_error(response.status, response.headers, body)
            yield response

    async def ask(self, request: JobRequest) -> Json:
        """Send a request; return the JSON of the reply. Raises `UpstreamError`."""
        async with self.send(request) as response:
            body = _decode_body(await response.read(MAX_REPLY_BYTES))
            if isinstance(body, str):
                raise ProviderMalformed(f"{self.deployment.provider} answered with something that is not JSON.")
            return body


def batch_gateway(gateway: Gateway) -> Gateway:
    """Return the gateway with the prices of providers' batch APIs."""
    return replace(gateway, catalog=BatchCatalog(gateway.catalog))


def _decode_body(body: bytes) -> Json | str:
    try:
        return decode_reply(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return body.decode("utf-8", "replace")
