"""Objects that are written to S3 in pieces: the requests, the memory, and what goes wrong."""

import asyncio
import tracemalloc
from contextlib import nullcontext

import pytest

from tests.aws.fake_s3 import FakeS3
from tests.aws.script import ScriptedTransport
from tests.s3_objects import s3_over
from tidegate.aws import s3_writer
from tidegate.aws.batch_objects import S3BatchObjects
from tidegate.errors import NotFound, ProviderTimeout, StoreUnavailable

MIB, GIB = 1024**2, 1024**3
CREATED = (200, b"<InitiateMultipartUploadResult><UploadId>u&amp;1</UploadId></InitiateMultipartUploadResult>")
LATE_ERROR = (200, b"<?xml version='1.0'?>\n  <Error><Code>InternalError</Code></Error>")
PIECE = bytes(8 * MIB)


async def join(objects: S3BatchObjects, s3: FakeS3, sizes: list[int]) -> None:
    async with objects.writer("joined") as writer:
        for number, size in enumerate(sizes):
            s3.sizes[f"part/{number}"] = size
            await writer.append_object(f"part/{number}", size)


@pytest.mark.parametrize(
    ("sizes", "requests", "parts"),
    [
        ([], ["put"], []),
        ([3], ["get", "put"], []),
        ([8 * MIB], ["create", "copy", "complete"], [8 * MIB]),
        ([4 * MIB, 4 * MIB], ["get", "get", "put"], []),
        ([MIB, 9 * MIB], ["get", "get", "create", "part", "copy", "complete"], [5 * MIB, 5 * MIB]),
        ([MIB, 8 * MIB], ["get", "get", "create", "part", "get", "part", "complete"], [8 * MIB, MIB]),
        ([6 * MIB, 1], ["create", "copy", "get", "part", "complete"], [6 * MIB, 1]),
        ([3 * GIB], ["create", "copy", "copy", "copy", "complete"], [GIB] * 3),
        ([GIB + 3], ["create", "copy", "copy", "complete"], [GIB // 2 + 1, GIB // 2 + 2]),
    ],
)
async def test_large_objects_are_copied_inside_s3(sizes: list[int], requests: list[str], parts: list[int]) -> None:
    s3 = FakeS3()
    await join(s3_over(s3), s3, sizes)
    assert (s3.requests, s3.parts, s3.sizes["joined"]) == (requests, parts, sum(sizes))


async def test_joining_a_gigabyte_takes_little_memory() -> None:
    s3 = FakeS3()
    sizes = [MIB + 17 * number for number in range(700)] + [7 * MIB + number for number in range(50)]
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    tracemalloc.reset_peak()
    await join(s3_over(s3), s3, sizes)
    peak = tracemalloc.get_traced_memory()[1] - before
    tracemalloc.stop()
    assert (s3.sizes["joined"], sum(sizes) > GIB) == (sum(sizes), True)
    assert s3.largest_body <= 8 * MIB
    # Usually 17 MiB: the pieces, and the part that is joined from them. A thread may hold the last part for a moment.
    assert 8 * MIB < peak < 26 * MIB
    assert s3.sent_bytes < 720 * MIB


@pytest.mark.parametrize(("size", "count"), [(5000, 170), (1000, 850), (4999, 170)])
async def test_parts_grow_with_the_object(size: int, count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundredth of S3's parts, each a thousandth of its size: as many objects of 5 MiB have 83 GiB in S3."""
    s3 = FakeS3(min_part_bytes=5000, max_parts=100)
    for name, value in {"MIN_PART_BYTES": 5000, "PIECE_BYTES": 8000, "_PARTS_BEFORE_GROWTH": 40}.items():
        monkeypatch.setattr(s3_writer, name, value)
    s3.sizes["part"] = size
    async with s3_over(s3).writer("joined") as writer:
        for _ in range(count):
            await writer.append_object("part", size)
    assert s3.sizes["joined"] == size * count
    assert 8000 < s3.largest_body < 25_000


async def test_an_object_with_more_parts_than_s3_allows_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3_writer, "MAX_PARTS", 2)
    s3 = FakeS3()
    with pytest.raises(StoreUnavailable, match="more than 2 parts"):
        await join(s3_over(s3), s3, [5 * MIB] * 3)
    assert s3.requests == ["create", "copy", "copy", "abort"]
    assert "joined" not in s3.sizes


@pytest.mark.parametrize("trouble", [(500, b""), (503, b"<Error><Code>SlowDown</Code></Error>"), LATE_ERROR])
async def test_what_may_pass_is_tried_again(trouble: object) -> None:
    complete = (200, b"<CompleteMultipartUploadResult><ETag>&quot;x&quot;</ETag></CompleteMultipartUploadResult>")
    copied = (200, b"<CopyPartResult><ETag>&quot;a-KMS-tag&quot;</ETag></CopyPartResult>")
    late = ProviderTimeout("late")
    transport = ScriptedTransport([trouble, CREATED, trouble, late, copied, trouble, complete])
    async with s3_over(transport).writer("joined") as writer:
        await writer.append_object("part", 5 * MIB)
    assert [request.method for request in transport.requests] == ["POST", "POST", "PUT", "PUT", "PUT", "POST", "POST"]
    part, done = transport.requests[4], transport.requests[-1]
    assert {request.headers.get("content-length") for request in transport.requests[:-2]} == {"0"}
    assert part.url.endswith("/joined?partNumber=1&uploadId=u%261")
    assert part.headers["x-amz-copy-source"] == "batches/part"
    assert done.body == (
        b"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>&#34;a-KMS-tag&#34;</ETag></Part>"
        b"</CompleteMultipartUpload>"
    )


@pytest.mark.parametrize("trouble", [(500, b""), LATE_ERROR, (403, b"<Error><Code>AccessDenied</Code></Error>")])
async def test_an_object_that_cannot_be_completed_is_aborted(trouble: object) -> None:
    copied = (200, b"<CopyPartResult><ETag>x</ETag></CopyPartResult>")
    transport = ScriptedTransport([CREATED, copied, trouble])
    with pytest.raises(StoreUnavailable, match=r"^S3 refused to (answer|complete an object) \(status"):
        async with s3_over(transport).writer("joined") as writer:
            await writer.append_object("part", 5 * MIB)
    assert transport.requests[-1].method == "DELETE"


async def test_a_completion_whose_answer_was_lost_is_complete() -> None:
    gone = (404, b"<Error><Code>NoSuchUpload</Code></Error>")
    for size, is_complete in ((5 * MIB, True), (5 * MIB - 1, False)):
        copied = (200, b"<CopyPartResult><ETag>x</ETag></CopyPartResult>")
        answers = [CREATED, copied, ProviderTimeout("late"), gone, (206, b"x", {"content-range": f"bytes 0-0/{size}"})]
        transport = ScriptedTransport(answers)
        with nullcontext() if is_complete else pytest.raises(StoreUnavailable):
            async with s3_over(transport).writer("joined") as writer:
                await writer.append_object("part", 5 * MIB)


async def test_a_missing_part_is_not_found_and_a_missing_bucket_is_unavailable() -> None:
    for code, error in (
        ("NoSuchKey", NotFound),
        ("NoSuchUpload", StoreUnavailable),
        ("NoSuchBucket", StoreUnavailable),
    ):
        transport = ScriptedTransport([CREATED, (404, f"<Error><Code>{code}</Code></Error>".encode()), (204, b"")])
        with pytest.raises(error):
            async with s3_over(transport).writer("joined") as writer:
                await writer.append_object("part", 5 * MIB)
        assert transport.requests[-1].method == "DELETE"


async def test_a_cancelled_writer_deletes_its_parts() -> None:
    transport = ScriptedTransport([CREATED, None])

    async def write() -> None:
        async with s3_over(transport).writer("joined") as writer:
            await writer.write(PIECE)
            await writer.write(b"x")

    task = asyncio.create_task(write())
    # The transport has no event for a request that has come.
    while len(transport.requests) < 2:  # noqa: ASYNC110
        await asyncio.sleep(0.001)
    transport.answers = [(204, b"")]
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [request.method for request in transport.requests] == ["POST", "PUT", "DELETE"]
