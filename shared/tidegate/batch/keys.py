"""The names of the objects of files, uploads and batches in the bucket. Each begins with what its lifetime depends on.

| object | name |
|---|---|
| a job's dropped file | `workspaces/<workspace>/in/…` |
| a file that was not acceptable, and why | `workspaces/<workspace>/rejected/…`, `….reason.json` |
| results of a dropped file | `workspaces/<workspace>/out/…` |
| the content of a file | `files/<workspace>/<file id>` |
| a part of an upload | `uploads/<workspace>/<upload id>/<part id>` |
| ranges of parts, 1,000 in an object | `batches/<workspace>/<batch id>/ranges/<number>.jsonl` |
| what validation remembers | `batches/<workspace>/<batch id>/validation` |
| answers of a part on record | `batches/<workspace>/<batch id>/journal/<part>/<attempt>-<number>.jsonl` |
| output and errors of all parts, as far as they are composed | `batches/<workspace>/<batch id>/composed/<token>-…` |
| output and errors of a done part | `batches/<workspace>/<batch id>/output/<part>.jsonl`, `…/errors/<part>.jsonl` |
"""

RANGES_PER_OBJECT = 1000


def dropped_prefix(workspace_id: str) -> str:
    return f"workspaces/{workspace_id}/in/"


def rejected_prefix(workspace_id: str) -> str:
    return f"workspaces/{workspace_id}/rejected/"


def results_prefix(workspace_id: str) -> str:
    return f"workspaces/{workspace_id}/out/"


def file_key(workspace_id: str, file_id: str) -> str:
    return f"files/{workspace_id}/{file_id}"


def upload_part_key(workspace_id: str, upload_id: str, part_id: str) -> str:
    return f"uploads/{workspace_id}/{upload_id}/{part_id}"


def batch_prefix(workspace_id: str, batch_id: str) -> str:
    return f"batches/{workspace_id}/{batch_id}/"


def ranges_key(workspace_id: str, batch_id: str, number: int) -> str:
    return f"{batch_prefix(workspace_id, batch_id)}ranges/{number:06}.jsonl"


def validation_key(workspace_id: str, batch_id: str) -> str:
    return f"{batch_prefix(workspace_id, batch_id)}validation"


def journal_key(workspace_id: str, batch_id: str, part: int, attempt: int, number: int) -> str:
    return f"{batch_prefix(workspace_id, batch_id)}journal/{part:06}/{attempt}-{number}.jsonl"


def part_output_key(workspace_id: str, batch_id: str, part: int) -> str:
    return f"{batch_prefix(workspace_id, batch_id)}output/{part:06}.jsonl"


def part_errors_key(workspace_id: str, batch_id: str, part: int) -> str:
    return f"{batch_prefix(workspace_id, batch_id)}errors/{part:06}.jsonl"


def composed_key(workspace_id: str, batch_id: str, token: str, name: str) -> str:
    return f"{batch_prefix(workspace_id, batch_id)}composed/{token}-{name}.jsonl"


def workspace_prefixes(workspace_id: str) -> tuple[str, ...]:
    """The prefixes of all objects of a workspace."""
    return tuple(f"{folder}/{workspace_id}/" for folder in ("workspaces", "files", "uploads", "batches"))
