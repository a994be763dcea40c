"""Files, uploads and batches as OpenAI's JSON objects. What is the gateway's own is below the key `tidegate`.

Source: https://platform.openai.com/docs/api-reference, and the types of openai-python (read 2026-11)
"""

from collections.abc import Iterable

from tidegate.domain.batch import Batch, BatchFault, BatchUsage, Part, StoredFile, Upload
from tidegate.json import Json, JsonObject

_FILE_STATUSES = {"pending": "uploaded", "processed": "processed", "error": "error"}

NOT_JSONL = "Invalid file format for Batch API. Must be .jsonl"


def file_json(file: StoredFile) -> JsonObject:
    """Return a file. OpenAI's clients require `status`; a file that is still to be sent is "uploaded"."""
    return {
        "object": "file",
        "id": file.id,
        "purpose": file.purpose,
        "filename": file.filename,
        "bytes": file.bytes,
        "created_at": int(file.created_at),
        "expires_at": _time(file.expires_at),
        "status": _FILE_STATUSES[file.status],
        "status_details": f"{NOT_JSONL}, of the size that was announced." if file.status == "error" else None,
    }


def upload_json(upload: Upload, file: StoredFile | None = None) -> JsonObject:
    """Return an upload, with its file once it is completed."""
    return {
        "object": "upload",
        "id": upload.id,
        "purpose": upload.purpose,
        "filename": upload.filename,
        "bytes": upload.bytes,
        "created_at": int(upload.created_at),
        "expires_at": int(upload.expires_at),
        "status": upload.status,
        "file": None if file is None else file_json(file),
    }


def part_json(upload_id: str, part_id: str, created_at: float) -> JsonObject:
    """Return a part of an upload."""
    return {"object": "upload.part", "id": part_id, "created_at": int(created_at), "upload_id": upload_id}


def batch_json(batch: Batch, running_parts: Iterable[Part] = ()) -> JsonObject:
    """Return a batch. The answers on record of `running_parts` are added to its counts and its usage."""
    usage = sum((part.usage for part in running_parts), batch.usage)
    # OpenAI's clients know no other status between a cancellation and its end.
    is_cancelling = batch.status == "finalizing" and batch.ending == "cancelled"
    return {
        "object": "batch",
        "id": batch.id,
        "endpoint": batch.endpoint,
        "model": batch.model,
        "errors": {"object": "list", "data": [_fault(fault) for fault in batch.errors]} if batch.errors else None,
        "input_file_id": batch.input_file_id,
        "completion_window": batch.completion_window,
        "status": "cancelling" if is_cancelling else batch.status,
        "output_file_id": batch.output_file_id,
        "error_file_id": batch.error_file_id,
        "created_at": int(batch.created_at),
        "in_progress_at": _time(batch.in_progress_at),
        "expires_at": int(batch.expires_at),
        "finalizing_at": _time(batch.finalizing_at),
        "completed_at": _time(batch.completed_at),
        "failed_at": _time(batch.failed_at),
        "expired_at": _time(batch.expired_at),
        "cancelling_at": _time(batch.cancelling_at),
        "cancelled_at": _time(batch.cancelled_at),
        "request_counts": {"total": batch.total, "completed": usage.completed, "failed": usage.failed},
        "usage": _usage(usage),
        "metadata": None if batch.metadata is None else {**batch.metadata},
        "tidegate": _own_facts(batch, usage),
    }


def _usage(usage: BatchUsage) -> JsonObject:
    return {
        "input_tokens": usage.input_tokens,
        "input_tokens_details": {"cached_tokens": usage.cached_tokens},
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        "total_tokens": usage.input_tokens + usage.output_tokens,
    }


def _own_facts(batch: Batch, usage: BatchUsage) -> JsonObject:
    """`cost_usd` is null if some answers have no price; `lost` are lines that were perhaps asked twice.

    `mode_reason` is why calls are made where the provider's batch API was asked for.
    """
    return {
        "mode": batch.mode,
        "mode_reason": batch.mode_reason,
        "source": batch.source,
        "pause": batch.pause,
        "paused_at": _time(batch.paused_at),
        "parts": batch.parts,
        "running_parts": len(batch.running),
        "lost": usage.lost,
        "cost_usd": None if usage.unpriced else float(usage.cost_usd),
        "words_used": usage.words,
    }


def _fault(fault: BatchFault) -> JsonObject:
    return {"code": fault.code, "message": fault.message, "line": fault.line, "param": fault.param}


def _time(at: float | None) -> Json:
    return None if at is None else int(at)
