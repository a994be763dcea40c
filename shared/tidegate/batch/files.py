"""Files of workspaces: created from a stream of bytes or by a presigned URL, listed, read and deleted.

A file of another workspace, an expired and a deleted one are reported like one that never existed.
"""

from collections.abc import AsyncGenerator, AsyncIterable, Sequence
from contextlib import aclosing

from msgspec import Struct
from msgspec.structs import replace

from tidegate.batch.components import BatchComponents, BatchStores
from tidegate.batch.fields import MAX_FILE_SECONDS, MAX_FILENAME, Fields, invalid
from tidegate.batch.file_content import FirstLine, check_file_size, receive_content
from tidegate.batch.keys import file_key, upload_part_key
from tidegate.batch.ports import Page
from tidegate.batch.storage import find_storage, save_file
from tidegate.batch.views import NOT_JSONL
from tidegate.domain.batch import Batch, FilePurpose, StoredFile
from tidegate.domain.ids import ulid
from tidegate.errors import NotFound

PURPOSES: tuple[FilePurpose, ...] = ("fine-tune", "assistants", "batch", "user_data", "vision", "evals")
"""The purposes of files that callers create."""

PENDING_SECONDS = 3600.0
"""How long a presigned URL is valid. A file that was not sent by then is forgotten."""

_CONFIRM_SECONDS = 60.0


class NewFile(Struct, frozen=True):
    """The description of a file to create. It is kept for `seconds`, or until it is deleted."""

    filename: str
    purpose: FilePurpose
    seconds: float | None

    def expires_at(self, now: float) -> float | None:
        return None if self.seconds is None else now + self.seconds


class PendingUpload(Struct, frozen=True):
    """The URL to which the content of a pending file is to be sent with PUT, until `expires_at`."""

    url: str
    expires_at: float


def parse_purpose(fields: Fields) -> FilePurpose:
    """Return the field `purpose`. Raises `InvalidRequest`."""
    text = fields.text("purpose")
    for purpose in PURPOSES:
        if purpose == text:
            return purpose
    raise invalid(f"{text[:80]!r} is not one of {list(PURPOSES)} - 'purpose'", "purpose", None)


def parse_new_file(fields: Fields, filename: str | None = None) -> NewFile:
    """Return what the fields say. Raises `InvalidRequest`."""
    purpose, seconds = parse_purpose(fields), fields.expiry_seconds("expires_after")
    if filename is None:
        filename = fields.text("filename", max_length=MAX_FILENAME)
    # Only the names of files are kept, as browsers do with paths.
    filename = filename.replace("\\", "/").rpartition("/")[2][:MAX_FILENAME] or "upload"
    return NewFile(filename, purpose, MAX_FILE_SECONDS if seconds is None and purpose == "batch" else seconds)


class FileReceiver:
    """Receives the content of one new file, of which it may not be known yet what it is for.

    receiver = FileReceiver(components, "ws_one")
    await receiver.receive(chunks, purpose=None)
    file = await receiver.save(new_file)
    """

    def __init__(self, components: BatchComponents, workspace_id: str) -> None:
        self._components = components
        self._workspace_id = workspace_id
        self._now = components.clock()
        self._id = f"file-{ulid(self._now)}"
        self._key = file_key(workspace_id, self._id)
        self._first_line = FirstLine(components.options.max_line_bytes)
        self._size = 0

    async def receive(self, chunks: AsyncIterable[bytes], purpose: str | None) -> None:
        """Write the content. Raises `RequestTooLarge`, and what `chunks` raises; then nothing is stored."""
        storage = await find_storage(self._components, self._workspace_id)
        storage.check(files=1, bytes=1)

        def check_size(size: int) -> None:
            check_file_size(self._components.options, purpose, size)
            storage.check(files=1, bytes=size)

        self._size = await receive_content(self._components.objects, self._key, chunks, check_size, self._first_line)

    async def save(self, new_file: NewFile) -> StoredFile:
        """Create the file. Raises `InvalidRequest`, and `RequestTooLarge`: then call `discard`."""
        if self._size == 0:
            raise invalid("The file is empty: send a file with content.", "file", None)
        check_file_size(self._components.options, new_file.purpose, self._size)
        if new_file.purpose == "batch" and not self._first_line.may_be_json:
            raise invalid(f"{NOT_JSONL}: the first line is not a JSON object.", "file", None)
        file = StoredFile(
            id=self._id,
            workspace_id=self._workspace_id,
            filename=new_file.filename,
            purpose=new_file.purpose,
            bytes=self._size,
            key=self._key,
            created_at=self._now,
            expires_at=new_file.expires_at(self._now),
        )
        await save_file(self._components, file)
        return file

    async def discard(self) -> None:
        """Delete what was received."""
        await self._components.objects.delete([self._key])


async def create_pending_file(
    components: BatchComponents, workspace_id: str, new_file: NewFile, size: int
) -> tuple[StoredFile, PendingUpload]:
    """Create a file whose content is sent to a presigned URL. Raises `RequestTooLarge`, and `InvalidRequest`."""
    check_file_size(components.options, new_file.purpose, size)
    (await find_storage(components, workspace_id)).check(files=1, bytes=size)
    now = components.clock()
    file_id = f"file-{ulid(now)}"
    # The content is copied from there, so that whoever has the URL cannot change it later.
    key = upload_part_key(workspace_id, file_id, "content")
    url = await components.objects.presigned_put(key, PENDING_SECONDS, size)
    if url is None:
        message = (
            "This gateway gives out no presigned URLs: send the file as multipart/form-data, or in parts of an upload."
        )
        raise invalid(message, None, "presigned_uploads_unsupported")
    file = StoredFile(
        id=file_id,
        workspace_id=workspace_id,
        filename=new_file.filename,
        purpose=new_file.purpose,
        bytes=size,
        key=key,
        created_at=now,
        expires_at=new_file.expires_at(now),
        status="pending",
    )
    await save_file(components, file)
    return file, PendingUpload(url, now + PENDING_SECONDS)


async def find_file(components: BatchComponents, workspace_id: str, file_id: str, param: str = "id") -> StoredFile:
    """Return the workspace's file; a pending one is "processed" once its content has arrived. Raises `NotFound`."""
    file = await components.table.find_file(workspace_id, file_id)
    if file is not None and file.status == "pending":
        file = await _confirm(components, file)
    if file is None:
        raise _no_such_file(file_id, param)
    return file


async def list_files(
    components: BatchComponents, workspace_id: str, page: Page, purpose: str | None
) -> tuple[Sequence[StoredFile], bool]:
    """Return a page of the workspace's files, and whether there are more."""
    files = await components.table.list_files(workspace_id, replace(page, limit=page.limit + 1), purpose)
    return files[: page.limit], len(files) > page.limit


async def read_content(components: BatchComponents, file: StoredFile, first: int, length: int) -> AsyncGenerator[bytes]:
    """Return the content of a file in chunks, once the first was read. Raises `NotFound`."""
    if file.status != "processed":
        raise invalid(f"The content of {file.id!r} has not been uploaded completely.", "id", None)
    chunks = components.objects.chunks(file.key, first, length)
    try:
        first_chunk = await anext(chunks, b"")
    except NotFound:
        raise _no_such_file(file.id, "id") from None

    async def content() -> AsyncGenerator[bytes]:
        async with aclosing(chunks):
            yield first_chunk
            async for chunk in chunks:
                yield chunk

    return content()


async def delete_file(components: BatchComponents, workspace_id: str, file_id: str) -> None:
    """Delete a file. Raises `NotFound`.

    A batch that reads it goes on: the content is deleted when that batch has ended (`delete_unlisted_input`).
    """
    file = await components.table.find_file(workspace_id, file_id)
    if file is None or not await components.table.delete_file(file):
        raise _no_such_file(file_id, "id")
    await _delete_unread(components, file.key)


async def delete_unlisted_input(stores: BatchStores, batch: Batch) -> None:
    """Delete the content of a batch's input if its file was deleted or has expired while the batch was open."""
    if batch.input_key != file_key(batch.workspace_id, batch.input_file_id):
        return  # a dropped object, which is its owner's
    if await stores.table.find_file(batch.workspace_id, batch.input_file_id) is None:
        await _delete_unread(stores, batch.input_key)


async def _delete_unread(stores: BatchStores, key: str) -> None:
    """Delete the content of a file, unless an open batch reads it."""
    if all(batch.input_key != key for batch in await stores.table.open_batches()):
        await stores.objects.delete([key])


async def _confirm(components: BatchComponents, file: StoredFile) -> StoredFile | None:
    """Return the file with its final status if its content has arrived; None if it will not come any more."""
    size = await components.objects.size(file.key)
    if size is None:
        if components.clock() < file.created_at + 2 * PENDING_SECONDS:
            return file
        await components.table.delete_file(file)
        return None
    if not await components.table.claim_once(f"confirm:{file.id}", _CONFIRM_SECONDS):
        return file
    final_key = file_key(file.workspace_id, file.id)
    confirmed = replace(file, key=final_key, bytes=size, status="processed")
    if size != file.bytes or (file.purpose == "batch" and not await _may_be_jsonl(components, file.key)):
        confirmed = replace(file, status="error")
    else:
        async with components.objects.writer(final_key) as writer:
            await writer.append_object(file.key, size)
    if not await components.table.save(confirmed):
        await components.objects.delete([final_key])
        return await components.table.find_file(file.workspace_id, file.id)
    await components.objects.delete([file.key])
    return replace(confirmed, version=confirmed.version + 1)


async def _may_be_jsonl(components: BatchComponents, key: str) -> bool:
    first_line = FirstLine(components.options.max_line_bytes)
    first_line.add(await components.objects.read(key, 0, components.options.max_line_bytes + 1) or b"")
    return first_line.may_be_json


def _no_such_file(file_id: str, param: str) -> NotFound:
    error = NotFound(f"No such File object: {file_id[:80]}", param=param)
    error.code = None
    return error
