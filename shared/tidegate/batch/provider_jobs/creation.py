"""Creates a job once: its reference and its hold are stored before, and a job that exists is looked up."""

import logging
from collections.abc import Sequence

from msgspec.structs import replace

from tidegate.batch.provider_jobs.charges import job_reservation
from tidegate.batch.provider_jobs.job_context import JobContext
from tidegate.batch.provider_jobs.prepared_parts import PreparedPart, joined_headers, lines_key
from tidegate.batch.provider_jobs.sorted_results import output_prefix
from tidegate.domain.batch import ProviderJob
from tidegate.errors import ProviderFailed, ProviderMalformed, StoreUnavailable
from tidegate.providers.batch_jobs.protocol import JobRequest, JobSpec, JobState

log = logging.getLogger(__name__)

MAX_PAGES = 20
"""Pages of a list of jobs that are read, the newest first: 2,000 jobs since ours was created."""


UPLOAD_TRIES, UPLOAD_SECONDS = 24, 5.0
"""How often, and at what distance, an uploaded file is looked up that is not ready."""


async def reserve_job(context: JobContext, job: ProviderJob, prepared_parts: Sequence[PreparedPart]) -> None:
    """Hold the job's worst case. Doing it again changes nothing. Raises `LimitReached`."""
    reservation = job_reservation(context, job, prepared_parts)
    if reservation is not None:
        await context.gateway.ledger.reserve(reservation)


async def create_job(context: JobContext, job: ProviderJob, prepared_parts: Sequence[PreparedPart]) -> JobState:
    """Send the lines, and create the job. Raises `UpstreamError`: the job may then exist nevertheless."""
    spec = await _whole_order(context, job, prepared_parts)
    content = b""
    if context.jobs.limits.transfer != "bucket":
        content = b"".join([await _lines_of(context, prepared) for prepared in prepared_parts if prepared.lines])
    try:
        upload = context.jobs.upload(spec, content)
        if upload is not None:
            content = (await _upload(context, spec, upload)).encode()
        return context.jobs.parse_job(await context.ask(context.jobs.create(spec, content)))
    except ValueError as error:
        raise ProviderMalformed(f"{context.deployment.provider}: {error}") from None


async def _upload(context: JobContext, spec: JobSpec, upload: JobRequest) -> str:
    """Return the id of the uploaded file once a job of it can be created."""
    file = context.jobs.parse_upload(await context.ask(upload))
    for _ in range(UPLOAD_TRIES):
        if file.is_ready:
            return file.id
        await context.gateway.retries.sleep(UPLOAD_SECONDS)
        file = context.jobs.parse_upload(await context.ask(context.jobs.upload_status(spec, file.id)))
    raise ProviderFailed(f"{context.deployment.provider} does not get the file of the batch ready.")


async def find_job(context: JobContext, job: ProviderJob, lines: int) -> JobState | None:
    """Return the job of a creation whose reply is unknown; None if the provider has none. Raises `UpstreamError`."""
    spec, page = context.spec(job), None
    known = {other.job_id for other in context.batch.jobs}
    for _ in range(MAX_PAGES):
        try:
            found = context.jobs.parse_jobs(spec, await context.ask(context.jobs.look_up(spec, page)), job.created_at)
        except ValueError as error:
            raise ProviderMalformed(f"{context.deployment.provider}: {error}") from None
        ours = [each for each in found.jobs if each.id not in known and each.lines in (None, 0, lines)]
        if ours:
            return ours[0]
        page = found.next
        if page is None:
            return None
    return None


async def _whole_order(context: JobContext, job: ProviderJob, prepared_parts: Sequence[PreparedPart]) -> JobSpec:
    spec = context.spec(job, joined_headers([*prepared_parts]))
    if context.jobs.limits.transfer != "bucket":
        return spec
    objects, key = context.components.objects, context.key(f"input/{job.reference}.jsonl")
    async with objects.writer(key) as writer:
        for prepared in prepared_parts:
            if prepared.lines:
                await writer.append_object(lines_key(context, prepared.number), prepared.size)
    input_uri, output_uri = await objects.uri(key), await objects.uri(output_prefix(context, job))
    return replace(spec, input_uri=input_uri, output_uri=output_uri, role=context.components.options.bedrock_role)


async def _lines_of(context: JobContext, prepared: PreparedPart) -> bytes:
    data = await context.components.objects.read(lines_key(context, prepared.number))
    if data is None:
        raise StoreUnavailable("The lines of a part of the batch are gone.")
    return data
