"""The OpenAPI document's endpoints of files, uploads and batches.

Source: https://platform.openai.com/docs/api-reference (files, uploads, batches; read 2026-11)
"""

from collections.abc import Mapping
from typing import TypeAlias

from tidegate.api import batches, files
from tidegate.api.routes import BATCH_PREFIXES
from tidegate.local.openapi_batch_schemas import request_content
from tidegate.local.openapi_clients import NOT_IN_NAMES

Schema: TypeAlias = dict[str, object]

_LISTED = {"GET /files": files.MAX_PAGE, "GET /batches": batches.MAX_PAGE}
"""The operations that answer with pages, and the most items of a page."""

_OPERATIONS: Mapping[str, tuple[str, str, str]] = {
    "GET /files": ("FileList", "List the files", "The workspace's files, the newest first."),
    "POST /files": (
        "File",
        "Create a file",
        "Send it as a form. For a file that is too large for that, send its name, size and purpose as JSON: the reply "
        "has a URL in `upload` to which the file is sent, if the gateway's storage has such URLs.",
    ),
    "GET /files/{id}": ("File", "Show a file", "A file that is still to be sent has the status `uploaded`."),
    "DELETE /files/{id}": ("DeletedFile", "Delete a file", "A batch that reads it goes on."),
    "GET /files/{id}/content": (
        "",
        "Send the content of a file",
        "With the header `range`, a part of it: `bytes=0-999`.",
    ),
    "POST /uploads": ("Upload", "Create an upload", "The file is sent in parts, within an hour."),
    "POST /uploads/{id}/parts": ("UploadPart", "Add a part", "Parts may have any size, and come in any order."),
    "POST /uploads/{id}/complete": (
        "Upload",
        "Complete an upload",
        "Makes one file of the parts, in the order of `part_ids`.",
    ),
    "POST /uploads/{id}/cancel": ("Upload", "Cancel an upload", "Its parts are deleted."),
    "GET /batches": ("BatchList", "List the batches", "The workspace's batches, the newest first."),
    "POST /batches": (
        "Batch",
        "Create a batch",
        "Answers each line of a file within `completion_window`: `24h`, or from `1h` to `7d`.",
    ),
    "GET /batches/{id}": ("Batch", "Show a batch", "The gateway's own facts are in `tidegate`."),
    "POST /batches/{id}/cancel": ("Batch", "Cancel a batch", "What is answered already stays in its results."),
    "POST /batches/{id}/resume": ("Batch", "Resume a paused batch", "It is paused again if the reason lasts."),
}
"""The schema of the reply, the title and the description of each operation, by method and path without prefix."""


def batch_paths(errors: Schema, workspace_header: Schema, idempotency_key: Schema) -> Schema:
    """Return the paths with all of their prefixes."""
    paths: dict[str, Schema] = {}
    for prefix in BATCH_PREFIXES:
        for operation in _OPERATIONS:
            method, path = operation.split(" ")
            described = {**_describe(operation, errors), "operationId": _name(method, prefix + path)}
            keys = [idempotency_key] if operation == "POST /batches" else []
            described["parameters"] = [*_parameters(operation), workspace_header, *keys]
            paths.setdefault(prefix + path, {})[method.lower()] = described
    return {**paths}


def _describe(operation: str, errors: Schema) -> Schema:
    schema, summary, description = _OPERATIONS[operation]
    content: Schema = (
        {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}
        if schema
        else {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
    )
    responses = {"200": {"description": schema or "The content", "content": content}, **errors}
    if not schema:
        responses |= {"206": {"description": "A part of the content", "content": content}}
        responses |= {"416": errors["400"]}
    body = request_content(operation)
    described: Schema = {"tags": ["batches"], "summary": summary, "description": description, "responses": responses}
    return described | ({"requestBody": {"required": True, "content": body}} if body else {})


def _parameters(operation: str) -> list[Schema]:
    text: Schema = {"type": "string", "minLength": 1, "maxLength": 512}
    parameters: list[Schema] = []
    if "{id}" in operation:
        parameters.append({"name": "id", "in": "path", "required": True, "schema": {"type": "string"}})
    if operation in _LISTED:
        limit: Schema = {"type": "integer", "minimum": 1, "maximum": _LISTED[operation]}
        order: Schema = {"enum": ["asc", "desc"]}
        purpose = [_query("purpose", text)] if operation == "GET /files" else []
        parameters += [_query("limit", limit), _query("after", text), _query("order", order), *purpose]
    return parameters


def _query(name: str, schema: Schema) -> Schema:
    return {"name": name, "in": "query", "schema": schema}


def _name(method: str, path: str) -> str:
    return f"{method.lower()}{path.translate(NOT_IN_NAMES)}"
