"""Providers with a batch API, played in memory: what each gets and returns is in its own dialect.

    provider = FakeOpenAI()
    provider.answers["Line 3."] = refusal        # what is not in there is answered
    async with batch_world(provider, **provider.env) as world: ...

A job ends when it was looked up `polls` times. It answers its lines in reverse order.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx
from msgspec.structs import replace

from tests.batch.world import BatchWorld, Provider
from tests.world import completion
from tidegate.memory.batch_objects import MemoryBatchObjects

Json = Any
TOKENS = {"input": 1000, "output": 100}


@dataclass
class FakeJob:
    id: str
    order: Json
    lines: list[Json]
    polls: int = 0
    status: str = "running"
    results: list[Json] = field(default_factory=list[Any])


@dataclass
class FakeJobs(Provider):
    """What all dialects share. `faults` are replies to the next requests of a kind: "create", "status", "results"."""

    model: str = ""
    polls: int = 2
    answers: dict[str, str] = field(default_factory=dict[str, str])
    jobs: list[FakeJob] = field(default_factory=list[FakeJob])
    faults: dict[str, list[httpx.Response | None]] = field(default_factory=dict[str, list[Any]])
    ends_as: str = "ended"
    omits_late: bool = False
    asked: list[str] = field(default_factory=list[str])
    env: dict[str, str] = field(default_factory=dict[str, str])

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        kind, act = self.route(request)
        self.asked.append(kind)
        if kind == "live":
            return await super().__call__(request)
        faults = self.faults.get(kind)
        fault = faults.pop(0) if faults else None
        if fault is not None and fault.extensions.get("after"):
            act()
        return act() if fault is None else fault

    def route(self, request: httpx.Request) -> tuple[str, Callable[[], httpx.Response]]:
        raise NotImplementedError

    def prompt(self, line: Json) -> str:
        return (re.findall(r"Line \d+\.", json.dumps(line)) or ["a masked line"])[-1]

    def create(self, id: str, order: Json, lines: list[Json]) -> FakeJob:
        job = FakeJob(id, order, lines)
        self.jobs.append(job)
        return job

    def list_jobs(self, to_json: Callable[[FakeJob], Json]) -> httpx.Response:
        """List all jobs, the newest first, as OpenAI and Anthropic do."""
        return httpx.Response(200, json={"data": [*map(to_json, reversed(self.jobs))], "has_more": False})

    def poll(self, job: FakeJob) -> FakeJob:
        job.polls += 1
        if job.status == "cancelling":
            self.end(job, "cancelled")
        elif job.status == "running" and job.polls >= self.polls:
            self.end(job, self.ends_as)
        return job

    def end(self, job: FakeJob, status: str) -> None:
        """End the job. Lines whose answer is "late" have none; a cancelled job has answered every second one."""
        job.status = status
        for index, line in reversed(list(enumerate(job.lines))):
            kind = self.answers.get(self.prompt(line), "ok")
            if kind == "lost":
                continue
            late = kind == "late" or status == "expired" or (status == "cancelled" and index % 2 == 1)
            if not (late and self.omits_late):
                job.results.append(self.result(line, "late" if late else kind, status))

    def result(self, line: Json, kind: str, status: str) -> Json:
        raise NotImplementedError

    def job(self, id: str) -> FakeJob:
        return next(job for job in self.jobs if job.id == id)

    def install(self, world: BatchWorld) -> None:
        """Prepare the world for this provider."""


def lost_reply(status: int = 500, body: Json = None) -> httpx.Response:
    """The reply to a request that was done nevertheless."""
    return httpx.Response(status, json=body or {"error": {"message": "try later"}}, extensions={"after": True})


def jsonl(lines: list[Json]) -> httpx.Response:
    return httpx.Response(200, content=b"".join(json.dumps(line).encode() + b"\n" for line in lines))


def is_answer(line: Json) -> bool:
    """True if a line of OpenAI's results belongs in the output file."""
    return line["response"] is not None and line["response"]["status_code"] == 200


@dataclass
class FakeOpenAI(FakeJobs):
    model: str = "openai/gpt-5-mini"
    files: dict[str, bytes] = field(default_factory=dict[str, bytes])

    def route(self, request: httpx.Request) -> tuple[str, Callable[[], httpx.Response]]:
        assert request.headers["authorization"] == "Bearer provider-secret-1"
        path = request.url.path.removeprefix("/v1")
        match request.method, *path.strip("/").split("/"):
            case "POST", "files":
                return "upload", lambda: self._upload(request.content)
            case "GET", "files", id:
                return "file", lambda: httpx.Response(200, json={"id": id, "status": "processed"})
            case "POST", "batches":
                return "create", lambda: self._create(json.loads(request.content))
            case "GET", "batches":
                return "list", lambda: self.list_jobs(self._job)
            case "GET", "batches", id:
                return "status", lambda: httpx.Response(200, json=self._job(self.poll(self.job(id))))
            case "POST", "batches", id, "cancel":
                return "cancel", lambda: self._cancel(self.job(id))
            case "GET", "files", id, "content":
                return "results", lambda: jsonl(self._content(id))
            case _:
                return "live", lambda: httpx.Response(500)

    def _upload(self, body: bytes) -> httpx.Response:
        id = f"file-{len(self.files)}"
        self.files[id] = body.split(b"\r\n\r\n")[2].rpartition(b"\r\n--")[0]
        return httpx.Response(200, json={"id": id, "object": "file"})

    def _create(self, order: Json) -> httpx.Response:
        lines = [json.loads(line) for line in self.files[order["input_file_id"]].splitlines()]
        return httpx.Response(200, json=self._job(self.create(f"batch_theirs{len(self.jobs)}", order, lines)))

    def _cancel(self, job: FakeJob) -> httpx.Response:
        job.status = "cancelling" if job.status == "running" else job.status
        return httpx.Response(200, json=self._job(job))

    def _job(self, job: FakeJob) -> Json:
        status = {"running": "in_progress", "ended": "completed"}.get(job.status, job.status)
        answered = [line for line in job.results if is_answer(line)]
        return {
            "id": job.id,
            "status": status,
            "metadata": job.order["metadata"],
            "output_file_id": f"{job.id}-out" if answered else None,
            "error_file_id": f"{job.id}-err" if len(job.results) > len(answered) else None,
            "errors": {"data": [{"code": "token_limit_exceeded"}]} if job.status == "failed" else None,
            "created_at": 0,
        }

    def _content(self, id: str) -> list[Json]:
        job_id, _, name = id.rpartition("-")
        results = self.job(job_id).results
        answered = [line for line in results if is_answer(line)]
        return answered if name == "out" else [line for line in results if line not in answered]

    def result(self, line: Json, kind: str, status: str) -> Json:
        entry: Json = {"id": "batch_req_theirs", "custom_id": line["custom_id"], "response": None, "error": None}
        if kind == "late":
            entry["error"] = {"code": "batch_cancelled" if status == "cancelled" else "batch_expired", "message": "…"}
        elif kind == "refused":
            body = {"error": {"message": "This is refused.", "type": "invalid_request_error", "code": None}}
            entry["response"] = {"status_code": 400, "request_id": "req_theirs", "body": body}
        else:
            usage = {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100}
            body = completion(f"Re: {self.prompt(line)}", usage=usage)
            entry["response"] = {"status_code": 200, "request_id": "req_theirs", "body": body}
        return entry


@dataclass
class FakeAnthropic(FakeJobs):
    model: str = "anthropic/claude-haiku-4-5"
    env: dict[str, str] = field(default_factory=lambda: {"ANTHROPIC_API_KEY": "provider-secret-3"})

    def route(self, request: httpx.Request) -> tuple[str, Callable[[], httpx.Response]]:
        assert request.headers["x-api-key"] == "provider-secret-3"
        assert request.headers["anthropic-version"]
        match request.method, *request.url.path.removeprefix("/v1/messages").strip("/").split("/"):
            case "POST", "batches":
                return "create", lambda: self._create(json.loads(request.content))
            case "GET", "batches":
                return "list", lambda: self.list_jobs(self._job)
            case "GET", "batches", id:
                return "status", lambda: httpx.Response(200, json=self._job(self.poll(self.job(id))))
            case "POST", "batches", id, "cancel":
                return "cancel", lambda: self._cancel(self.job(id))
            case "GET", "batches", id, "results":
                return "results", lambda: jsonl(self.job(id).results)
            case _:
                return "live", lambda: httpx.Response(500)

    def _create(self, order: Json) -> httpx.Response:
        assert all(re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", line["custom_id"]) for line in order["requests"])
        job = self.create(f"msgbatch_theirs{len(self.jobs)}", order, order["requests"])
        return httpx.Response(200, json=self._job(job))

    def _cancel(self, job: FakeJob) -> httpx.Response:
        job.status = "cancelling" if job.status == "running" else job.status
        return httpx.Response(200, json=self._job(job))

    def _job(self, job: FakeJob) -> Json:
        is_open = job.status in ("running", "cancelling")
        status = {"running": "in_progress", "cancelling": "canceling"}.get(job.status, "ended")
        counts = {"processing": len(job.lines) if is_open else 0, "succeeded": 0 if is_open else len(job.lines)}
        return {
            "id": job.id,
            "processing_status": status,
            "request_counts": counts,
            "created_at": "2026-11-21T12:30:00Z",
        }

    def result(self, line: Json, kind: str, status: str) -> Json:
        result: Json
        if kind == "late":
            result = {"type": "canceled" if status == "cancelled" else "expired"}
        elif kind == "refused":
            error = {"type": "invalid_request_error", "message": "This is refused."}
            result = {"type": "errored", "error": {"type": "error", "error": error}}
        else:
            message = {
                "id": "msg_theirs",
                "type": "message",
                "role": "assistant",
                "model": "claude-haiku-4-5",
                "content": [{"type": "text", "text": f"Re: {self.prompt(line)}"}],
                "stop_reason": "end_turn",
                "usage": {"input_tokens": 1000, "output_tokens": 100, "service_tier": "batch"},
            }
            result = {"type": "succeeded", "message": message}
        return {"custom_id": line["custom_id"], "result": result}


@dataclass
class FakeGemini(FakeJobs):
    model: str = "gemini/gemini-2.5-pro"
    omits_late: bool = True
    env: dict[str, str] = field(default_factory=lambda: {"GEMINI_API_KEY": "provider-secret-4"})

    def route(self, request: httpx.Request) -> tuple[str, Callable[[], httpx.Response]]:
        assert request.headers["x-goog-api-key"] == "provider-secret-4"
        path = request.url.path.removeprefix("/v1beta/")
        if path.endswith(":batchGenerateContent"):
            return "create", lambda: self._create(json.loads(request.content)["batch"])
        if path == "batches":
            listed = [self._job(job) for job in self.jobs]
            return "list", lambda: httpx.Response(200, json={"operations": listed})
        if path.endswith(":cancel"):
            return "cancel", lambda: self._cancel(self.job(path.removesuffix(":cancel")))
        if path.startswith("batches/"):
            job = self.job(path)
            kind = "status" if job.status in ("running", "cancelling") else "results"
            return kind, lambda: httpx.Response(200, json=self._job(self.poll(job)))
        return "live", lambda: httpx.Response(500)

    def _create(self, order: Json) -> httpx.Response:
        lines = order["inputConfig"]["requests"]["requests"]
        return httpx.Response(200, json=self._job(self.create(f"batches/theirs{len(self.jobs)}", order, lines)))

    def _cancel(self, job: FakeJob) -> httpx.Response:
        job.status = "cancelling" if job.status == "running" else job.status
        return httpx.Response(200, json={})

    def _job(self, job: FakeJob) -> Json:
        state = {"running": "RUNNING", "cancelling": "RUNNING", "ended": "SUCCEEDED"}.get(job.status)
        metadata: Json = {
            "state": f"BATCH_STATE_{state or job.status.upper()}",
            "displayName": job.order["displayName"],
        }
        if job.results:
            metadata["output"] = {"inlinedResponses": {"inlinedResponses": job.results}}
        return {"name": job.id, "metadata": metadata}

    def result(self, line: Json, kind: str, status: str) -> Json:
        if kind == "refused":
            return {"metadata": line["metadata"], "error": {"code": 3, "message": "This is refused."}}
        candidate = {
            "content": {"role": "model", "parts": [{"text": f"Re: {self.prompt(line)}"}]},
            "finishReason": "STOP",
        }
        usage = {"promptTokenCount": 1000, "candidatesTokenCount": 100, "totalTokenCount": 1100}
        return {"metadata": line["metadata"], "response": {"candidates": [candidate], "usageMetadata": usage}}


@dataclass
class FakeBedrock(FakeJobs):
    """Its records are in the objects of the world, which are a bucket."""

    model: str = "bedrock/amazon.nova-lite-v1:0"
    omits_late: bool = True
    env: dict[str, str] = field(default_factory=lambda: {"AWS_BEARER_TOKEN_BEDROCK": "provider-secret-5"})
    bucket: "BucketObjects | None" = None

    def install(self, world: BatchWorld) -> None:
        self.bucket = BucketObjects()
        options = replace(world.components.options, bedrock_role="arn:aws:iam::111122223333:role/batches")
        world.components = replace(world.components, objects=self.bucket, options=options)

    def route(self, request: httpx.Request) -> tuple[str, Callable[[], httpx.Response]]:
        assert request.headers["authorization"] == "Bearer provider-secret-5"
        match request.method, *request.url.path.strip("/").split("/"):
            case "POST", "model-invocation-job":
                return "create", lambda: self._create(json.loads(request.content))
            case "GET", "model-invocation-jobs":
                listed = [self._job(job) for job in self.jobs]
                return "list", lambda: httpx.Response(200, json={"invocationJobSummaries": listed})
            case "GET", "model-invocation-job", id:
                return "status", lambda: httpx.Response(200, json=self._job(self.poll(self.job(id))))
            case "POST", "model-invocation-job", id, "stop":
                return "cancel", lambda: self._cancel(self.job(id))
            case _:
                return "live", lambda: httpx.Response(500)

    def _create(self, order: Json) -> httpx.Response:
        known = [job for job in self.jobs if job.order["clientRequestToken"] == order["clientRequestToken"]]
        if not known:
            assert self.bucket is not None
            key = order["inputDataConfig"]["s3InputDataConfig"]["s3Uri"].removeprefix("s3://bucket/")
            lines = [json.loads(line) for line in self.bucket.objects[key].splitlines()]
            known = [self.create(f"theirs{len(self.jobs)}", order, lines)]
        return httpx.Response(200, json={"jobArn": self._arn(known[0])})

    def _cancel(self, job: FakeJob) -> httpx.Response:
        job.status = "cancelling" if job.status == "running" else job.status
        return httpx.Response(200, json={})

    def _arn(self, job: FakeJob) -> str:
        return f"arn:aws:bedrock:us-east-1:111122223333:model-invocation-job/{job.id}"

    def _job(self, job: FakeJob) -> Json:
        states = {"running": "InProgress", "cancelling": "Stopping", "ended": "Completed", "cancelled": "Stopped"}
        status = states.get(job.status, job.status.capitalize())
        return {"jobArn": self._arn(job), "jobName": job.order["jobName"], "status": status}

    def end(self, job: FakeJob, status: str) -> None:
        super().end(job, status)
        assert self.bucket is not None
        prefix = job.order["outputDataConfig"]["s3OutputDataConfig"]["s3Uri"].removeprefix("s3://bucket/")
        content = b"".join(json.dumps(line).encode() + b"\n" for line in job.results)
        if job.results:
            self.bucket.objects[f"{prefix}{job.id}/in.jsonl.out"] = content
        self.bucket.objects[f"{prefix}{job.id}/manifest.json.out"] = b'{"totalRecordCount": 1}'

    def result(self, line: Json, kind: str, status: str) -> Json:
        if kind == "refused":
            return {**line, "error": {"errorCode": 400, "errorMessage": "This is refused."}}
        message = {"role": "assistant", "content": [{"text": f"Re: {self.prompt(line)}"}]}
        usage = {"inputTokens": 1000, "outputTokens": 100, "totalTokens": 1100}
        return {**line, "modelOutput": {"output": {"message": message}, "stopReason": "end_turn", "usage": usage}}


class BucketObjects(MemoryBatchObjects, frozen=True):
    """Objects that Bedrock can read."""

    async def uri(self, key: str) -> str | None:
        return f"s3://bucket/{key}"


PROVIDERS: list[type[FakeJobs]] = [FakeOpenAI, FakeAnthropic, FakeGemini, FakeBedrock]
