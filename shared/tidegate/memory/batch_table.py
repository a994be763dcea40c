"""Files, uploads, batches and their parts in dictionaries."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, TypeVar

from msgspec.structs import replace

from tidegate.batch.ports import Page
from tidegate.domain.batch import Batch, Part, StoredFile, Upload
from tidegate.domain.batch_retention import kept_until
from tidegate.domain.provider_pace import ProviderPace

_Value = StoredFile | Upload | Batch | Part | ProviderPace
_T = TypeVar("_T", StoredFile, Upload, Batch, Part, ProviderPace)


class _Place(NamedTuple):
    """Where a value is stored. The owner of a part is its batch, that of other values their workspace."""

    kind: type[_Value]
    owner_id: str
    id: str | int


class MemoryBatchTable:
    """The port `BatchTable`, and `WorkspaceBatches` of the control plane.

    Nothing is awaited between comparing versions and writing.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._values: dict[_Place, _Value] = {}
        self._ends: dict[_Place, float | None] = {}
        self._claims: dict[str, float] = {}
        self._prune_at = 1000

    async def find_file(self, workspace_id: str, file_id: str) -> StoredFile | None:
        """See `BatchTable.find_file`."""
        return self._find(StoredFile, workspace_id, file_id)

    async def list_files(self, workspace_id: str, page: Page, purpose: str | None = None) -> Sequence[StoredFile]:
        """See `BatchTable.list_files`."""
        files = self._list(StoredFile, workspace_id, page)
        return [file for file in files if purpose in (None, file.purpose)][: page.limit]

    async def delete_file(self, file: StoredFile) -> bool:
        """See `BatchTable.delete_file`."""
        is_stored = self._find(StoredFile, file.workspace_id, file.id) is not None
        self._drop(_place(file))
        return is_stored

    async def find_upload(self, workspace_id: str, upload_id: str) -> Upload | None:
        """See `BatchTable.find_upload`."""
        return self._find(Upload, workspace_id, upload_id)

    async def list_uploads(self, workspace_id: str, page: Page) -> Sequence[Upload]:
        """See `BatchTable.list_uploads`."""
        return self._list(Upload, workspace_id, page)[: page.limit]

    async def find_batch(self, workspace_id: str, batch_id: str) -> Batch | None:
        """The workspace's batch."""
        return self._find(Batch, workspace_id, batch_id)

    async def list_batches(self, workspace_id: str, page: Page) -> Sequence[Batch]:
        """See `BatchTable.list_batches`."""
        return self._list(Batch, workspace_id, page)[: page.limit]

    async def find_parts(self, batch: Batch, numbers: Sequence[int]) -> Mapping[int, Part]:
        """See `BatchTable.find_parts`."""
        parts = (self._find(Part, batch.id, number) for number in numbers)
        return {part.number: part for part in parts if part is not None and part.workspace_id == batch.workspace_id}

    async def open_batches(self) -> Sequence[Batch]:
        """See `BatchTable.open_batches`."""
        return [value for value in self._values.values() if isinstance(value, Batch) and not value.is_terminal]

    async def find_pace(self, provider: str) -> ProviderPace:
        """See `BatchTable.find_pace`."""
        return self._find(ProviderPace, "", provider) or ProviderPace(provider)

    async def save(self, *values: _Value) -> bool:
        """See `BatchTable.save`."""
        places = [_place(value) for value in values]
        for place, value in zip(places, values, strict=True):
            stored = self._stored(place)
            if value.version != (stored.version if stored is not None else 0):
                return False
        for place, value in zip(places, values, strict=True):
            self._values[place] = replace(value, version=value.version + 1)
            self._ends[place] = kept_until(value, self._clock())
        self._prune()
        return True

    async def claim_once(self, claim: str, seconds: float) -> bool:
        """See `BatchTable.claim_once`."""
        now = self._clock()
        if self._claims.get(claim, now) > now:
            return False
        self._claims[claim] = now + seconds
        self._prune()
        return True

    async def open_batch_ids(self, workspace_id: str) -> Sequence[str]:
        """See `WorkspaceBatches.open_batch_ids`."""
        return [batch.id for batch in await self.open_batches() if batch.workspace_id == workspace_id]

    async def delete_all(self, workspace_id: str) -> None:
        """See `WorkspaceBatches.delete_all`."""
        for place, value in list(self._values.items()):
            if not isinstance(value, ProviderPace) and value.workspace_id == workspace_id:
                self._drop(place)

    def _stored(self, place: _Place) -> _Value | None:
        ends_at = self._ends.get(place)
        return self._values.get(place) if ends_at is None or ends_at > self._clock() else None

    def _find(self, kind: type[_T], owner_id: str, id: str | int) -> _T | None:
        value = self._stored(_Place(kind, owner_id, id))
        return value if isinstance(value, kind) else None

    def _list(self, kind: type[_T], owner_id: str, page: Page) -> list[_T]:
        """The owner's values on all pages from this one on."""
        ids = sorted(str(place.id) for place in self._values if place.kind is kind and place.owner_id == owner_id)
        if page.after and page.is_ascending:
            ids = [id for id in ids if id > page.after]
        elif page.after:
            ids = [id for id in ids if id < page.after]
        found = (self._find(kind, owner_id, id) for id in (ids if page.is_ascending else reversed(ids)))
        return [value for value in found if value is not None]

    def _drop(self, place: _Place) -> None:
        self._values.pop(place, None)
        self._ends.pop(place, None)

    def _prune(self) -> None:
        """Drop what has expired, each time that the number of values and claims has doubled."""
        if len(self._values) + len(self._claims) < self._prune_at:
            return
        now = self._clock()
        for place in [place for place in self._values if self._stored(place) is None]:
            self._drop(place)
        self._claims = {claim: ends_at for claim, ends_at in self._claims.items() if ends_at > now}
        self._prune_at = max(1000, 2 * (len(self._values) + len(self._claims)))


def _place(value: _Value) -> _Place:
    if isinstance(value, Part):
        return _Place(Part, value.batch_id, value.number)
    if isinstance(value, ProviderPace):
        return _Place(ProviderPace, "", value.provider)
    return _Place(type(value), value.workspace_id, value.id)
