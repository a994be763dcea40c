"""Limits of the files and uploads that a workspace stores.

The sum is made of the stored entries for each creation, so that it cannot drift. Two creations at once may both be
refused where only one of them has room; what they leave never exceeds the limit.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import TypeVar

from msgspec import Struct

from tidegate.batch.components import BatchComponents
from tidegate.batch.keys import file_key
from tidegate.batch.ports import Page
from tidegate.domain.batch import StoredFile, Upload
from tidegate.domain.batch_options import BatchOptions
from tidegate.errors import RateLimited, RequestTooLarge, StoreUnavailable

_PAGE = 1000

_T = TypeVar("_T", StoredFile, Upload)


class Storage(Struct, frozen=True, kw_only=True):
    """A sum of all that a workspace stores, and the options with its limits.

    `files` and `bytes` include uploads that are not completed, each with the size of its file. Results of dropped
    objects are not counted: they are in the place of the jobs that have dropped these.
    """

    options: BatchOptions
    files: int = 0
    bytes: int = 0
    uploads: int = 0
    open_uploads: int = 0

    def check(self, files: int = 0, bytes: int = 0) -> None:
        """Raise `RequestTooLarge` unless so many more files and bytes may be stored."""
        options = self.options
        if self.files + files <= options.max_stored_files and self.bytes + bytes <= options.max_stored_bytes:
            return
        message = (
            f"This workspace stores {self.files:,} files with {self.bytes:,} bytes, including uploads that are not "
            f"completed, and may store {options.max_stored_files:,} with {options.max_stored_bytes:,} bytes. There is "
            "no room for this file: delete files first, such as inputs and results of batches that have ended."
        )
        error = RequestTooLarge(message, param="file")
        error.code = "storage_limit_exceeded"
        raise error

    def check_uploads(self, uploads: int = 0) -> None:
        """Raise `RateLimited` unless so many more uploads may begin."""
        options = self.options
        if self.open_uploads + uploads > options.max_open_uploads:
            begun, maximum = f"has {self.open_uploads:,} open uploads", options.max_open_uploads
            advice = "complete or cancel one, or wait: an upload expires after an hour"
        elif self.uploads + uploads > options.max_stored_files:
            begun, maximum = f"has begun {self.uploads:,} uploads within a day", options.max_stored_files
            advice = "wait, or send whole files"
        else:
            return
        message = f"This workspace {begun}, and may have {maximum:,}: {advice}."
        error = RateLimited(message, limit="uploads", maximum=maximum)
        error.should_retry = False
        raise error


async def find_storage(components: BatchComponents, workspace_id: str) -> Storage:
    """Return what the workspace stores now. Reads the entries of all of its files, and of its uploads of a day."""
    table, now = components.table, components.clock()
    files = size = uploads = open_uploads = 0
    async for file in _all(lambda page: table.list_files(workspace_id, page)):
        if file.status == "pending" or file.key == file_key(workspace_id, file.id):
            files, size = files + 1, size + file.bytes
        elif file.status == "error":
            files += 1  # its content is deleted
    async for upload in _all(lambda page: table.list_uploads(workspace_id, page)):
        uploads += 1
        if upload.status != "pending":
            continue
        if upload.expires_at > now:
            files, size, open_uploads = files + 1, size + upload.bytes, open_uploads + 1
        else:
            size += upload.received_bytes  # nobody has deleted these parts yet
    return Storage(options=components.options, files=files, bytes=size, uploads=uploads, open_uploads=open_uploads)


async def save_file(components: BatchComponents, file: StoredFile) -> None:
    """Store the entry of a new file, if the workspace has room for it. Raises `RequestTooLarge`."""
    if not await components.table.save(file):
        raise StoreUnavailable("The file could not be stored; try again.", retry_after_seconds=1)
    try:
        # Of two files at once, the later one sees the other here.
        (await find_storage(components, file.workspace_id)).check()
    except BaseException:
        await components.table.delete_file(file)
        raise


async def _all(list_page: Callable[[Page], Awaitable[Sequence[_T]]]) -> AsyncIterator[_T]:
    page = Page(_PAGE)
    while True:
        values = await list_page(page)
        for value in values:
            yield value
        if len(values) < page.limit:
            return
        page = Page(_PAGE, after=values[-1].id)
