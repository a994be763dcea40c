"""The OpenAPI document's schemas of files, uploads and batches: requests as they are checked, and replies.

Source: https://platform.openai.com/docs/api-reference (files, uploads, batches; read 2026-11)
"""

from typing import TypeAlias, get_args

from tidegate.api.app import ENDPOINTS
from tidegate.batch.batches import MODES
from tidegate.batch.endpoints import batch_endpoints
from tidegate.batch.fields import MAX_BYTES, MAX_FILE_SECONDS, MAX_FILENAME, MAX_PAIRS, MAX_VALUE, MIN_FILE_SECONDS
from tidegate.batch.files import PURPOSES
from tidegate.batch.uploads import MAX_PARTS
from tidegate.domain.batch import BatchStatus, FilePurpose, UploadStatus
from tidegate.json import encode
from tidegate.local.openapi_operations import EXAMPLE_CALL

Schema: TypeAlias = dict[str, object]

_ANY_TEXT: Schema = {"type": "string"}
_TEXT: Schema = {"type": "string", "minLength": 1, "maxLength": MAX_VALUE}
_FILENAME: Schema = {"type": "string", "minLength": 1, "maxLength": MAX_FILENAME}
_MAYBE_TEXT: Schema = {"type": ["string", "null"]}
_COUNT: Schema = {"type": "integer", "minimum": 0}
_MAYBE_COUNT: Schema = {"type": ["integer", "null"], "minimum": 0}
_SIZE: Schema = {"type": "integer", "minimum": 1, "maximum": MAX_BYTES}
_BINARY: Schema = {"type": "string", "format": "binary"}
_PURPOSE: Schema = {"enum": [*PURPOSES]}
_SECONDS: Schema = {"type": "integer", "minimum": MIN_FILE_SECONDS, "maximum": MAX_FILE_SECONDS}
_ANCHOR: Schema = {"enum": ["created_at"]}
_EXPIRY: Schema = {
    "type": ["object", "null"],
    "required": ["anchor", "seconds"],
    "properties": {"anchor": _ANCHOR, "seconds": _SECONDS},
}
_LINE = b'{"custom_id":"line-1","method":"POST","url":"/v1/chat/completions","body":%s}\n' % encode(EXAMPLE_CALL)
"""A file of one request: the demo tenant can send it."""

_JSONL: Schema = {**_BINARY, "description": f"For a batch, one request per line: `{_LINE.decode().strip()}`"}
_EXAMPLE_FILE: Schema = {"filename": "requests.jsonl", "bytes": len(_LINE), "purpose": "batch"}
_METADATA: Schema = {
    "type": ["object", "null"],
    "maxProperties": MAX_PAIRS,
    "properties": {"tidegate_mode": {"enum": [*MODES]}},
    "additionalProperties": {"type": "string", "maxLength": MAX_VALUE},
}


def request_content(operation: str) -> Schema:
    """Return the kinds of bodies of an operation such as "POST /files", with examples; none if it has no body."""
    file = {"filename": _FILENAME, "bytes": _SIZE, "purpose": _PURPOSE}
    match operation:
        case "POST /files":
            purpose: Schema = {**_PURPOSE, "examples": ["batch"]}
            expiry = {
                "expires_after[anchor]": {**_ANCHOR, "examples": ["created_at"]},
                "expires_after[seconds]": {**_SECONDS, "examples": [MAX_FILE_SECONDS]},
            }
            form = _object({"file": _JSONL, "purpose": purpose}, **expiry)
            form["dependentRequired"] = {name: [*expiry] for name in expiry}
            return {**_form(form), **_json(_object(file, expires_after=_EXPIRY), _EXAMPLE_FILE)}
        case "POST /uploads":
            upload = _object({**file, "mime_type": _TEXT}, expires_after=_EXPIRY)
            return _json(upload, {**_EXAMPLE_FILE, "mime_type": "application/jsonl"})
        case "POST /uploads/{id}/parts":
            return _form(_object({"data": _BINARY}))
        case "POST /uploads/{id}/complete":
            part_ids: Schema = {"type": "array", "minItems": 1, "maxItems": MAX_PARTS, "items": _ANY_TEXT}
            md5: Schema = {**_MAYBE_TEXT, "pattern": "^[0-9a-fA-F]{32}$"}
            return _json(_object({"part_ids": part_ids}, md5=md5), {"part_ids": ["part_…"]})
        case "POST /batches":
            window: Schema = {"type": "string", "pattern": "^([1-9][0-9]{0,2}h|[1-7]d)$", "examples": ["24h"]}
            endpoint: Schema = {"enum": [*batch_endpoints(ENDPOINTS)]}
            fields = {"input_file_id": _TEXT, "endpoint": endpoint, "completion_window": window}
            example: Schema = {
                "input_file_id": "file-…",
                "endpoint": "/v1/chat/completions",
                "completion_window": "24h",
            }
            return _json(_object(fields, metadata=_METADATA, output_expires_after=_EXPIRY), example)
        case _:
            return {}


def batch_schemas() -> dict[str, Schema]:
    """Describe the replies."""
    file = _object(
        {
            "object": {"const": "file"},
            **dict.fromkeys(("id", "filename"), _ANY_TEXT),
            "purpose": {"enum": [*get_args(FilePurpose)]},
            **dict.fromkeys(("bytes", "created_at"), _COUNT),
            "expires_at": _MAYBE_COUNT,
            "status": {"enum": ["uploaded", "processed", "error"]},
            "status_details": _MAYBE_TEXT,
        },
        upload=_object(
            {"method": {"const": "PUT"}, "url": _ANY_TEXT, "headers": {"type": "object"}, "expires_at": _COUNT}
        ),
    )
    upload = _object(
        {
            "object": {"const": "upload"},
            **dict.fromkeys(("id", "filename", "purpose"), _ANY_TEXT),
            **dict.fromkeys(("bytes", "created_at", "expires_at"), _COUNT),
            "status": {"enum": [*get_args(UploadStatus)]},
            "file": {"anyOf": [_reference("File"), {"type": "null"}]},
        }
    )
    ids = dict.fromkeys(("id", "upload_id"), _ANY_TEXT)
    part: dict[str, Schema] = {"object": {"const": "upload.part"}, **ids, "created_at": _COUNT}
    return {
        "File": file,
        "FileList": _list("File"),
        "DeletedFile": _object({"object": {"const": "file"}, "id": _ANY_TEXT, "deleted": {"const": True}}),
        "Upload": upload,
        "UploadPart": _object(part),
        "Batch": _batch_schema(),
        "BatchList": _list("Batch"),
    }


def _batch_schema() -> Schema:
    times = (
        *("in_progress_at", "finalizing_at", "completed_at", "failed_at"),
        *("expired_at", "cancelling_at", "cancelled_at"),
    )
    fault = _object(
        {"code": _ANY_TEXT, "message": _ANY_TEXT, "line": _MAYBE_COUNT, "param": _MAYBE_TEXT},
    )
    faults = _object({"object": {"const": "list"}, "data": {"type": "array", "items": fault}})
    usage = _object(
        {
            **dict.fromkeys(("input_tokens", "output_tokens", "total_tokens"), _COUNT),
            "input_tokens_details": _object({"cached_tokens": _COUNT}),
            "output_tokens_details": _object({"reasoning_tokens": _COUNT}),
        }
    )
    own = _object(
        {
            "mode": {"enum": [*MODES]},
            "pause": {**_MAYBE_TEXT, "description": "Why no lines are asked"},
            "paused_at": _MAYBE_COUNT,
            "lost": {**_COUNT, "description": "Lines that were perhaps asked twice, because a worker died"},
            "cost_usd": {"type": ["number", "null"], "description": "null if a model has no price"},
        }
    )
    return _object(
        {
            "object": {"const": "batch"},
            **dict.fromkeys(("id", "endpoint", "input_file_id", "completion_window"), _ANY_TEXT),
            **dict.fromkeys(("model", "output_file_id", "error_file_id"), _MAYBE_TEXT),
            "status": {"enum": [*get_args(BatchStatus)]},
            "errors": {"anyOf": [faults, {"type": "null"}]},
            **dict.fromkeys(("created_at", "expires_at"), _COUNT),
            **dict.fromkeys(times, _MAYBE_COUNT),
            "request_counts": _object(dict.fromkeys(("total", "completed", "failed"), _COUNT)),
            "usage": usage,
            "metadata": {"type": ["object", "null"], "additionalProperties": _ANY_TEXT},
            "tidegate": own,
        }
    )


def _list(schema: str) -> Schema:
    items: Schema = {"type": "array", "items": _reference(schema)}
    ids = dict.fromkeys(("first_id", "last_id"), _MAYBE_TEXT)
    return _object({"object": {"const": "list"}, "data": items, **ids, "has_more": {"type": "boolean"}})


def _reference(schema: str) -> Schema:
    return {"$ref": f"#/components/schemas/{schema}"}


def _object(required: dict[str, Schema], **optional: Schema) -> Schema:
    return {"type": "object", "required": list(required), "properties": {**required, **optional}}


def _json(schema: Schema, example: Schema) -> Schema:
    return {"application/json": {"schema": schema, "example": example}}


def _form(schema: Schema) -> Schema:
    """Describe a form. Its fields have the examples: Swagger UI does not read an example of a whole form."""
    return {"multipart/form-data": {"schema": schema}}
