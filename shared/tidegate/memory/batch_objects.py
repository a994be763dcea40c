"""Objects of files and batches in a dictionary."""

from collections.abc import AsyncGenerator, Sequence

from msgspec import Struct, field

from tidegate.batch.ports import PIECE_BYTES, ObjectWriter
from tidegate.errors import NotFound, StoreUnavailable


class MemoryBatchObjects(Struct, frozen=True):
    """The port `BatchObjects`."""

    objects: dict[str, bytes] = field(default_factory=dict[str, bytes])

    async def put(self, key: str, data: bytes) -> None:
        """See `BatchObjects.put`."""
        self.objects[key] = bytes(data)

    async def size(self, key: str) -> int | None:
        """See `BatchObjects.size`."""
        data = self.objects.get(key)
        return None if data is None else len(data)

    async def read(self, key: str, first: int = 0, length: int | None = None) -> bytes | None:
        """See `BatchObjects.read`."""
        data = self.objects.get(key)
        return None if data is None else data[first : None if length is None else first + length]

    async def chunks(self, key: str, first: int = 0, length: int | None = None) -> AsyncGenerator[bytes]:
        """See `BatchObjects.chunks`."""
        data = await self.read(key, first, length)
        if data is None:
            raise NotFound(f"The object {key!r} does not exist.")
        for start in range(0, len(data), PIECE_BYTES):
            yield data[start : start + PIECE_BYTES]

    def writer(self, key: str, *, content_type: str = "application/jsonl") -> ObjectWriter:
        """See `BatchObjects.writer`. The type of the content is not kept."""
        return _MemoryWriter(self, key)

    async def delete(self, keys: Sequence[str]) -> None:
        """See `BatchObjects.delete`."""
        for key in keys:
            self.objects.pop(key, None)

    async def list_keys(self, prefix: str) -> Sequence[str]:
        """See `BatchObjects.list_keys`."""
        return sorted(key for key in self.objects if key.startswith(prefix))

    async def presigned_put(self, key: str, seconds: float, size: int) -> str | None:
        """See `BatchObjects.presigned_put`: memory has no URLs."""
        return None

    async def uri(self, key: str) -> str | None:
        """See `BatchObjects.uri`: memory has no addresses."""
        return None


class _MemoryWriter:
    """See `ObjectWriter`."""

    def __init__(self, objects: MemoryBatchObjects, key: str) -> None:
        self.size = 0
        self._objects = objects
        self._key = key
        self._pieces: list[bytes] = []

    async def write(self, data: bytes) -> None:
        """See `ObjectWriter.write`."""
        self._pieces.append(bytes(data))
        self.size += len(data)

    async def append_object(self, key: str, size: int) -> None:
        """See `ObjectWriter.append_object`."""
        data = await self._objects.read(key, 0, size)
        if data is None:
            raise NotFound(f"The object {key!r} does not exist.")
        if len(data) < size:
            raise StoreUnavailable("An object is smaller than it was when it was written.")
        await self.write(data)

    async def __aenter__(self) -> ObjectWriter:
        return self

    async def __aexit__(self, *error: object) -> None:
        if error[0] is None:
            self._objects.objects[self._key] = b"".join(self._pieces)
