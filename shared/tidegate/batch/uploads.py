"""Uploads: files that arrive in parts of any size, which become one file when the upload is completed."""

import asyncio
import hashlib
import re
from collections.abc import AsyncIterable, Callable, Sequence

from anyio import to_thread
from msgspec.structs import replace

from tidegate.batch.components import BatchComponents
from tidegate.batch.fields import MAX_BYTES, Fields, invalid
from tidegate.batch.file_content import FirstLine, check_file_size, receive_content
from tidegate.batch.files import parse_new_file
from tidegate.batch.keys import file_key, upload_part_key
from tidegate.batch.storage import find_storage
from tidegate.batch.transitions import CHANGE_TRIES
from tidegate.batch.views import NOT_JSONL
from tidegate.domain.batch import StoredFile, Upload
from tidegate.domain.ids import ulid
from tidegate.errors import InvalidRequest, NotFound, RequestTooLarge, StoreUnavailable

UPLOAD_SECONDS = 3600.0
MAX_PART_BYTES = 64 * 1024 * 1024
"""Source: https://platform.openai.com/docs/api-reference/uploads (read 2026-11)."""

MAX_PARTS = 10_000
_SIZES_AT_ONCE = 32

_PART_ID = re.compile(r"part_[0-9A-Z]{26}")
_MD5 = re.compile(r"[0-9a-fA-F]{32}")


async def create_upload(components: BatchComponents, workspace_id: str, fields: Fields) -> Upload:
    """Create the upload that the fields describe. Raises `InvalidRequest`, `RequestTooLarge` and `RateLimited`."""
    new_file = parse_new_file(fields)
    size = fields.integer("bytes", 1, MAX_BYTES)
    mime_type = fields.text("mime_type")
    check_file_size(components.options, new_file.purpose, size)
    storage = await find_storage(components, workspace_id)
    storage.check_uploads(1)
    storage.check(files=1, bytes=size)
    now = components.clock()
    upload = Upload(
        id=f"upload_{ulid(now)}",
        workspace_id=workspace_id,
        filename=new_file.filename,
        purpose=new_file.purpose,
        bytes=size,
        mime_type=mime_type,
        created_at=now,
        expires_at=now + UPLOAD_SECONDS,
        file_seconds=new_file.seconds,
    )
    if not await components.table.save(upload):
        raise _unstored()
    try:
        # Of two uploads at once, the later one sees the other here.
        storage = await find_storage(components, workspace_id)
        storage.check_uploads()
        storage.check()
    except BaseException:
        await components.table.save(replace(upload, status="cancelled", version=1))
        raise
    return upload


async def find_pending(components: BatchComponents, workspace_id: str, upload_id: str) -> Upload:
    """Return an upload that takes parts. Raises `NotFound`, and `InvalidRequest` if it takes none any more."""
    upload = await _find(components, workspace_id, upload_id)
    _check_pending(components, upload)
    return upload


async def add_part(components: BatchComponents, upload: Upload, chunks: AsyncIterable[bytes]) -> str:
    """Store a part, and return its id. Raises `InvalidRequest`, and `RequestTooLarge`; then nothing is stored.

    All parts together have at most the bytes of the upload, whether it is completed with them or not.
    """

    def check_size(size: int) -> None:
        _check_part(upload, size)

    def count(stored: Upload) -> Upload:
        _check_pending(components, stored)
        _check_part(stored, size)
        received = stored.received_bytes + size
        return replace(stored, received_bytes=received, received_parts=stored.received_parts + 1)

    _check_part(upload, 1)
    part_id = f"part_{ulid(components.clock())}"
    key = upload_part_key(upload.workspace_id, upload.id, part_id)
    size = await receive_content(components.objects, key, chunks, check_size)
    try:
        if size == 0:
            raise invalid("The part is empty: send the field 'data' with content.", "data", None)
        await _change(components, upload, count)
    except BaseException:
        await components.objects.delete([key])
        raise
    return part_id


async def complete_upload(
    components: BatchComponents, workspace_id: str, upload_id: str, fields: Fields
) -> tuple[Upload, StoredFile | None]:
    """Make one file of the parts in the order of `part_ids`, and return the completed upload with it.

    To complete an upload once more returns what it is already, because clients repeat requests. Raises `NotFound` and
    `InvalidRequest`.
    """
    part_ids, md5 = fields.texts("part_ids", MAX_PARTS), fields.maybe_text("md5")
    if md5 is not None and not _MD5.fullmatch(md5):
        raise invalid("'md5' must have 32 hexadecimal digits.", "md5", "invalid_value")
    upload = await _find(components, workspace_id, upload_id)
    if upload.status != "completed":
        _check_pending(components, upload)
        try:
            upload = await _complete(components, upload, part_ids, md5)
        except (InvalidRequest, NotFound):
            # Another process that completes or cancels the upload deletes the parts.
            upload = await _find(components, workspace_id, upload_id)
            if upload.status != "completed":
                _check_pending(components, upload)
                raise
    return upload, await components.table.find_file(workspace_id, upload.file_id or "")


async def _complete(components: BatchComponents, upload: Upload, part_ids: Sequence[str], md5: str | None) -> Upload:
    keys = [upload_part_key(upload.workspace_id, upload.id, part_id) for part_id in part_ids]
    sizes = await _part_sizes(components, part_ids, keys)
    if sum(sizes) != upload.bytes:
        message = f"The parts have {sum(sizes):,} bytes together, but the upload was created for {upload.bytes:,}."
        raise invalid(message, "part_ids", None)
    if upload.purpose == "batch":
        await _check_first_line(components, keys, sizes)
    (await find_storage(components, upload.workspace_id)).check()
    return await _join(components, upload, keys, sizes, md5)


async def cancel_upload(components: BatchComponents, workspace_id: str, upload_id: str) -> Upload:
    """Cancel an upload, and delete its parts. Raises `NotFound`, and `InvalidRequest` for a completed one."""
    upload = await _find(components, workspace_id, upload_id)
    if upload.status == "cancelled":
        return upload

    def cancel(stored: Upload) -> Upload:
        if stored.status != "cancelled":
            _check_pending(components, stored)
        return replace(stored, status="cancelled")

    cancelled = await _change(components, upload, cancel)
    await _delete_parts(components, upload)
    return cancelled


async def _find(components: BatchComponents, workspace_id: str, upload_id: str) -> Upload:
    upload = await components.table.find_upload(workspace_id, upload_id)
    if upload is None:
        error = NotFound(f"No such Upload object: {upload_id[:80]}", param="upload_id")
        error.code = None
        raise error
    return upload


async def _change(
    components: BatchComponents, upload: Upload, change: Callable[[Upload], Upload], *files: StoredFile
) -> Upload:
    """Write what `change` makes of the upload together with the new files, and return it. Raises what `change` raises.

    `upload` may be an earlier version of the stored one.
    """
    for _ in range(CHANGE_TRIES):
        changed = change(upload)
        if await components.table.save(*files, changed):
            return replace(changed, version=changed.version + 1)
        upload = await _find(components, upload.workspace_id, upload.id)
    raise _unstored()


def _check_part(upload: Upload, size: int) -> None:
    """Raise `RequestTooLarge` for a part that is too large for what has arrived, `InvalidRequest` for one too many."""
    left = upload.bytes - upload.received_bytes
    if size > MAX_PART_BYTES or size > upload.bytes:
        limit = f"{min(MAX_PART_BYTES, upload.bytes):,} bytes"
        limit += ", the size of the whole file" if upload.bytes <= MAX_PART_BYTES else ""
        raise RequestTooLarge(f"A part of this upload may have at most {limit}.", param="data")
    if size > left:
        message = (
            f"The parts of this upload have {upload.received_bytes:,} of its {upload.bytes:,} bytes, so another one "
            f"may have at most {left:,}. A part that was sent twice counts twice: cancel this upload, and create "
            "another one."
        )
        raise RequestTooLarge(message, param="data")
    if upload.received_parts >= MAX_PARTS:
        message = f"An upload may have at most {MAX_PARTS:,} parts: cancel it, and create one with larger parts."
        raise invalid(message, "data", None)


def _check_pending(components: BatchComponents, upload: Upload) -> None:
    status = upload.status
    if status == "pending" and upload.expires_at <= components.clock():
        status = "expired"
    if status != "pending":
        advice = " Create another one." if status in ("expired", "cancelled") else ""
        raise invalid(f"The upload {upload.id!r} is {status}.{advice}", "upload_id", None)


async def _part_sizes(components: BatchComponents, part_ids: Sequence[str], keys: Sequence[str]) -> list[int]:
    """Return the sizes of the parts. Raises `InvalidRequest` if one does not exist."""
    for part_id in part_ids:
        if not _PART_ID.fullmatch(part_id):
            raise _no_such_part(part_id)
    sizes: list[int] = []
    for first in range(0, len(keys), _SIZES_AT_ONCE):
        end = first + _SIZES_AT_ONCE
        found = await asyncio.gather(*map(components.objects.size, keys[first:end]))
        for part_id, size in zip(part_ids[first:end], found, strict=True):
            if size is None:
                raise _no_such_part(part_id)
            sizes.append(size)
    return sizes


def _no_such_part(part_id: str) -> InvalidRequest:
    return invalid(f"No such Part object in this upload: {part_id[:80]}", "part_ids", None)


async def _check_first_line(components: BatchComponents, keys: Sequence[str], sizes: Sequence[int]) -> None:
    """Raise `InvalidRequest` if the first line of the joined parts is not a JSON object."""
    limit = components.options.max_line_bytes + 1
    first_line = FirstLine(components.options.max_line_bytes)
    for key, size in zip(keys, sizes, strict=True):
        first_line.add(await components.objects.read(key, 0, limit) or b"")
        limit -= size
        if limit <= 0 or first_line.is_complete:
            break
    if not first_line.may_be_json:
        raise invalid(f"{NOT_JSONL}: the first line is not a JSON object.", "part_ids", None)


async def _join(
    components: BatchComponents, upload: Upload, keys: Sequence[str], sizes: Sequence[int], md5: str | None
) -> Upload:
    """Write the file, and complete the upload together with it. Raises `InvalidRequest` if another process has."""
    now = components.clock()
    file_id = f"file-{ulid(now)}"
    key = file_key(upload.workspace_id, file_id)
    digest = await _write_joined(components, key, keys, sizes, with_md5=md5 is not None)
    if md5 is not None and digest != md5.lower():
        await components.objects.delete([key])
        raise invalid(f"The md5 of the parts is {digest}, not {md5.lower()}.", "md5", None)
    file = StoredFile(
        id=file_id,
        workspace_id=upload.workspace_id,
        filename=upload.filename,
        purpose=upload.purpose,
        bytes=upload.bytes,
        key=key,
        created_at=now,
        expires_at=None if upload.file_seconds is None else now + upload.file_seconds,
    )

    def complete(stored: Upload) -> Upload:
        _check_pending(components, stored)
        return replace(stored, status="completed", file_id=file_id)

    try:
        completed = await _change(components, upload, complete, file)
    except (InvalidRequest, NotFound):
        await components.objects.delete([key])
        raise
    await _delete_parts(components, upload)
    return completed


async def _write_joined(
    components: BatchComponents, key: str, keys: Sequence[str], sizes: Sequence[int], *, with_md5: bool
) -> str:
    """Write the parts to one object, and return its md5, or "" if it is not wanted: then large parts are not read."""
    digest = hashlib.md5(usedforsecurity=False)
    async with components.objects.writer(key) as writer:
        for part_key, size in zip(keys, sizes, strict=True):
            if not with_md5:
                await writer.append_object(part_key, size)
                continue
            async for chunk in components.objects.chunks(part_key):
                await to_thread.run_sync(digest.update, chunk)
                await writer.write(chunk)
    return digest.hexdigest() if with_md5 else ""


async def _delete_parts(components: BatchComponents, upload: Upload) -> None:
    prefix = upload_part_key(upload.workspace_id, upload.id, "")
    await components.objects.delete(await components.objects.list_keys(prefix))


def _unstored() -> StoreUnavailable:
    return StoreUnavailable("The upload was changed at the same time; try again.", retry_after_seconds=1)
