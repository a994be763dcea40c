"""Creates a job once: its reference and its hold are stored before, and a job that exists is looked up."""

import logging
from collections.abc import Sequence

from msgspec.structs import replace

from tidegate.batch.provider_jobs.charges import job_reservation
from tidegate.batch.provider_jobs.desk import JobDesk
from tidegate.batch.provider_jobs.plans import PartPlan, joined_headers, lines_key
from tidegate.batch.provider_jobs.sorted_results import output_prefix
from tidegate.domain.batch import ProviderJob
from tidegate.errors import ProviderFailed, ProviderMalformed, StoreUnavailable
from tidegate.providers.batch_jobs.protocol import JobOrder, JobRequest, JobState

log = logging.getLogger(__name__)

MAX_PAGES = 20
"""Pages of a list of jobs that are read, the newest first: 2,000 jobs since ours was created."""


UPLOAD_TRIES, UPLOAD_SECONDS = 24, 5.0
"""How often, and at what distance, an uploaded file is looked up that is not ready."""


async def reserve_job(desk: JobDesk, job: ProviderJob, plans: Sequence[PartPlan]) -> None:
    """Hold the job's worst case. Doing it again changes nothing. Raises `LimitReached`."""
    reservation = job_reservation(desk, job, plans)
    if reservation is not None:
        await desk.gateway.ledger.reserve(reservation)


async def create_job(desk: JobDesk, job: ProviderJob, plans: Sequence[PartPlan]) -> JobState:
    """Send the lines, and create the job. Raises `UpstreamError`: the job may then exist nevertheless."""
    order = await _whole_order(desk, job, plans)
    content = b""
    if desk.jobs.limits.transfer != "bucket":
        content = b"".join([await _lines_of(desk, plan) for plan in plans if plan.lines])
    try:
        upload = desk.jobs.upload(order, content)
        if upload is not None:
            content = (await _upload(desk, order, upload)).encode()
        return desk.jobs.parse_job(await desk.ask(desk.jobs.create(order, content)))
    except ValueError as error:
        raise ProviderMalformed(f"{desk.deployment.provider}: {error}") from None


async def _upload(desk: JobDesk, order: JobOrder, upload: JobRequest) -> str:
    """Return the id of the uploaded file once a job of it can be created."""
    file = desk.jobs.parse_upload(await desk.ask(upload))
    for _ in range(UPLOAD_TRIES):
        if file.is_ready:
            return file.id
        await desk.gateway.retries.sleep(UPLOAD_SECONDS)
        file = desk.jobs.parse_upload(await desk.ask(desk.jobs.upload_status(order, file.id)))
    raise ProviderFailed(f"{desk.deployment.provider} does not get the file of the batch ready.")


async def find_job(desk: JobDesk, job: ProviderJob, lines: int) -> JobState | None:
    """Return the job of a creation whose reply is unknown; None if the provider has none. Raises `UpstreamError`."""
    order, page = desk.order(job), None
    known = {other.job_id for other in desk.batch.jobs}
    for _ in range(MAX_PAGES):
        try:
            found = desk.jobs.parse_jobs(order, await desk.ask(desk.jobs.look_up(order, page)), job.created_at)
        except ValueError as error:
            raise ProviderMalformed(f"{desk.deployment.provider}: {error}") from None
        ours = [each for each in found.jobs if each.id not in known and each.lines in (None, 0, lines)]
        if ours:
            return ours[0]
        page = found.next
        if page is None:
            return None
    return None


async def _whole_order(desk: JobDesk, job: ProviderJob, plans: Sequence[PartPlan]) -> JobOrder:
    order = desk.order(job, joined_headers([*plans]))
    if desk.jobs.limits.transfer != "bucket":
        return order
    objects, key = desk.components.objects, desk.key(f"input/{job.reference}.jsonl")
    async with objects.writer(key) as writer:
        for plan in plans:
            if plan.lines:
                await writer.append_object(lines_key(desk, plan.number), plan.size)
    input_uri, output_uri = await objects.uri(key), await objects.uri(output_prefix(desk, job))
    return replace(order, input_uri=input_uri, output_uri=output_uri, role=desk.components.options.bedrock_role)


async def _lines_of(desk: JobDesk, plan: PartPlan) -> bytes:
    data = await desk.components.objects.read(lines_key(desk, plan.number))
    if data is None:
        raise StoreUnavailable("The lines of a part of the batch are gone.")
    return data
