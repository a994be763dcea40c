"""Files, uploads, batches and parts to put into a table."""

from msgspec.structs import replace

from tests.store_worlds import NOON
from tidegate.domain.batch import Batch, Part, StoredFile, Upload


def stored_file(number: int = 1, workspace_id: str = "ws_one", **fields: object) -> StoredFile:
    id = f"file-{number:03}"
    made = StoredFile(
        id=id, workspace_id=workspace_id, filename="in.jsonl", purpose="batch", bytes=42, key=f"k/{id}", created_at=NOON
    )
    return replace(made, **fields)


def batch(number: int = 1, workspace_id: str = "ws_one", **fields: object) -> Batch:
    made = Batch(
        id=f"batch_{number:03}",
        workspace_id=workspace_id,
        key_id="key_one",
        endpoint="/v1/chat/completions",
        input_file_id="file-001",
        input_key="k/file-001",
        input_bytes=42,
        completion_window="24h",
        created_at=NOON,
        expires_at=NOON + 86400,
    )
    return replace(made, **fields)


def part(number: int = 0, batch_id: str = "batch_001", **fields: object) -> Part:
    made = Part(
        batch_id=batch_id,
        workspace_id="ws_one",
        number=number,
        first_line=200 * number,
        first_byte=1000 * number,
        length=1000,
        lines=200,
        queued_at=NOON + 0.123456,
    )
    return replace(made, **fields)


def upload(**fields: object) -> Upload:
    made = Upload(
        id="upload_1",
        workspace_id="ws_one",
        filename="in.jsonl",
        purpose="batch",
        bytes=42,
        mime_type="application/jsonl",
        created_at=NOON,
        expires_at=NOON + 3600,
        file_seconds=7200.5,
    )
    return replace(made, **fields)
