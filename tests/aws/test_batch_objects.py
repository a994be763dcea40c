"""Objects in S3 when S3 refuses a request, answers late, or answers in another form."""

from collections.abc import Awaitable, Callable

import pytest

from tests.aws.script import ScriptedTransport
from tests.s3_objects import s3_over
from tidegate.aws.batch_objects import MAX_DELETED_KEYS, MAX_PRESIGNED_SECONDS, S3BatchObjects
from tidegate.errors import ProviderTimeout, ProviderUnreachable, StoreUnavailable

USES: list[Callable[[S3BatchObjects], Awaitable[object]]] = [
    lambda objects: objects.put("k", b"x"),
    lambda objects: objects.size("k"),
    lambda objects: objects.read("k"),
    lambda objects: objects.delete(["k"]),
    lambda objects: objects.delete(["\x01"]),
    lambda objects: objects.list_keys("k"),
]
DENIED = (403, b"<Error><Code>AccessDenied</Code><Message>no</Message></Error>")


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize(
    "trouble", [(500, b""), (503, b"<html>"), ProviderUnreachable("gone"), ProviderTimeout("late")]
)
async def test_what_fails_six_times_is_unavailable(
    use: Callable[[S3BatchObjects], Awaitable[object]], trouble: object
) -> None:
    transport = ScriptedTransport([trouble])
    with pytest.raises(StoreUnavailable, match=r"^S3 (refused|does not answer)"):
        await use(s3_over(transport))
    assert len(transport.requests) == 6


@pytest.mark.parametrize("use", USES)
async def test_what_is_not_allowed_is_not_tried_again(use: Callable[[S3BatchObjects], Awaitable[object]]) -> None:
    transport = ScriptedTransport([DENIED])
    with pytest.raises(StoreUnavailable, match=r"\(status 403, AccessDenied\)"):
        await use(s3_over(transport))
    assert len(transport.requests) == 1


async def test_what_passes_is_tried_again() -> None:
    answers = [(503, b"<Error><Code>SlowDown</Code></Error>"), ProviderTimeout("late"), (200, b"")]
    transport = ScriptedTransport(answers)
    await s3_over(transport).put("k", b"x")
    assert [request.body for request in transport.requests] == [b"x"] * 3


async def test_keys_that_could_not_be_deleted_are_tried_again() -> None:
    some = b"<DeleteResult><Error><Key>a</Key><Code>InternalError</Code></Error></DeleteResult>"
    transport = ScriptedTransport([(200, some), (200, b"<DeleteResult></DeleteResult>")])
    await s3_over(transport).delete(["a", "b"])
    assert len(transport.requests) == 2
    with pytest.raises(StoreUnavailable, match="InternalError"):
        await s3_over(ScriptedTransport([(200, some)])).delete(["a"])


async def test_a_thousand_keys_are_deleted_with_one_request() -> None:
    transport = ScriptedTransport([(200, b"<DeleteResult/>")])
    await s3_over(transport).delete([f"<{number}>&\r" for number in range(MAX_DELETED_KEYS + 1)])
    assert [request.body.count(b"<Key>&#60;") for request in transport.requests] == [MAX_DELETED_KEYS, 1]
    assert transport.requests[1].body == (
        b"<Delete><Quiet>true</Quiet><Object><Key>&#60;1000&#62;&#38;&#13;</Key></Object></Delete>"
    )
    assert transport.requests[1].headers["content-md5"] == "YgxUAMB5WUsAMB8SiilLbg=="


async def test_a_list_goes_on_where_it_stopped() -> None:
    pages = [
        b"<IsTruncated>true</IsTruncated><Key>a+b%2Bc</Key><NextContinuationToken>t/&amp;+=</NextContinuationToken>",
        b"<Contents><Key>&amp;lt;</Key><Key>d</Key></Contents>",
    ]
    transport = ScriptedTransport([(200, page) for page in pages])
    assert await s3_over(transport).list_keys("p x") == ["a b+c", "&lt;", "d"]
    first, second = (request.url.partition("?")[2] for request in transport.requests)
    assert first == "list-type=2&encoding-type=url&prefix=p%20x"
    assert second == f"{first}&continuation-token=t%2F%26%2B%3D"


@pytest.mark.parametrize("headers", [{}, {"content-range": "bytes 0-0/*"}])
async def test_a_range_of_an_object_of_unknown_size_is_refused(headers: dict[str, str]) -> None:
    with pytest.raises(StoreUnavailable, match="without the size"):
        await s3_over(ScriptedTransport([(206, b"x", headers)])).read("k")


async def test_a_range_without_bytes_is_the_last() -> None:
    transport = ScriptedTransport([(206, b"", {"content-range": "bytes 0-9/10"})])
    assert (await s3_over(transport).read("k"), len(transport.requests)) == (b"", 1)


async def test_a_url_is_valid_for_a_week_at_most() -> None:
    objects = s3_over(ScriptedTransport([]))
    for seconds, expires in ((59.9, 59), (MAX_PRESIGNED_SECONDS + 1, MAX_PRESIGNED_SECONDS)):
        url = await objects.presigned_put("files/ws/file", seconds, 5)
        assert url is not None
        assert url.startswith("https://batches.s3.eu-central-1.amazonaws.com/files/ws/file?X-Amz-Algorithm=")
        assert f"&X-Amz-Expires={expires}&X-Amz-SignedHeaders=content-length%3Bhost&" in url
