"""The contracts of `BatchTable` and `WorkspaceBatches`, for every implementation."""

import asyncio
from decimal import Decimal

import pytest
from msgspec.structs import replace

from tests.batch_values import batch, part, stored_file, upload
from tests.store_worlds import NOON, World
from tidegate.aws.batch_table import DynamoBatchTable
from tidegate.batch.ports import Page
from tidegate.domain.batch import Batch, BatchFault, BatchUsage, Part, ProviderJob, StoredFile, Upload
from tidegate.domain.batch_retention import PART_SECONDS
from tidegate.domain.ids import ulid
from tidegate.domain.limits import Amounts
from tidegate.domain.provider_pace import ProviderPace
from tidegate.domain.record import RETENTION_SECONDS
from tidegate.memory.batch_table import MemoryBatchTable

DAY = 86400
Table = MemoryBatchTable | DynamoBatchTable


@pytest.fixture
def table(world: World) -> Table:
    return DynamoBatchTable(world.store) if world.store else MemoryBatchTable(world.clock)


LARGE = batch(
    metadata={f"{n:064}": "é" * 512 for n in range(16)},
    errors=tuple(
        BatchFault("invalid_json_line", "This line is not a JSON object. " * 8, n, "body") for n in range(100)
    ),
    jobs=tuple(
        ProviderJob(provider="openai", deployment=f"openai/gpt-{n}", reference=ulid(NOON), job_id="j" * 64)
        for n in range(64)
    ),
    running=tuple(range(32)),
    returned=tuple(range(24_000, 25_000)),
    usage=BatchUsage(7, 6, 5, 4, 3, 2, 1, 2, 3, 4, 5, 6, Decimal("12345678901234567890.123456789012345678")),
    paused_needs=Amounts(1, 2, Decimal("0.000000000000000001")),
    cursor={"line": 12, "text": "12"},
    step_lease_until=NOON + 0.1,
)


@pytest.mark.parametrize("value", [stored_file(expires_at=NOON + 0.5), upload(), batch(), LARGE, part()])
async def test_a_value_is_read_as_it_was_written_with_the_next_version(
    table: Table, value: StoredFile | Upload | Batch | Part
) -> None:
    assert await table.save(value)
    found: StoredFile | Upload | Batch | Part | None
    match value:
        case StoredFile():
            found = await table.find_file("ws_one", value.id)
        case Upload():
            found = await table.find_upload("ws_one", value.id)
        case Batch():
            found = await table.find_batch("ws_one", value.id)
        case Part():
            found = (await table.find_parts(batch(), [value.number])).get(value.number)
    assert found == replace(value, version=1)


async def test_what_exists_is_not_created_again(table: Table) -> None:
    assert await table.save(batch())
    assert not await table.save(batch(status="failed"))
    assert await table.find_batch("ws_one", "batch_001") == batch(version=1)


async def test_what_does_not_exist_is_not_changed(table: Table) -> None:
    assert not await table.save(part(version=1))
    assert not await table.save(batch(version=1))
    assert await table.find_batch("ws_one", "batch_001") is None


async def test_of_two_writers_one_wins(table: Table) -> None:
    await table.save(part())
    leases = [part(version=1, status="running", lease=f"worker {n}") for n in range(8)]
    won = await asyncio.gather(*map(table.save, leases))
    assert won.count(True) == 1
    assert await table.find_parts(batch(), [0]) == {0: replace(leases[won.index(True)], version=2)}


async def test_all_values_are_saved_or_none(table: Table) -> None:
    await table.save(batch(), part(0))
    assert not await table.save(batch(version=1, fed=2), part(1), part(0))
    assert await table.find_batch("ws_one", "batch_001") == batch(version=1)
    assert set(await table.find_parts(batch(), [0, 1])) == {0}
    assert await table.save(batch(version=1, fed=2), part(1), part(0, version=1, status="done"))
    assert set(await table.find_parts(batch(), [0, 1])) == {0, 1}


async def test_of_many_changes_of_a_batch_at_once_none_is_lost(table: Table) -> None:
    await table.save(batch())

    async def feed(number: int) -> None:
        for _ in range(100):
            stored = await table.find_batch("ws_one", "batch_001")
            assert stored is not None
            if await table.save(replace(stored, running=(*stored.running, number)), part(number)):
                return
        raise AssertionError("refused a hundred times")

    await asyncio.gather(*map(feed, range(8)))
    stored = await table.find_batch("ws_one", "batch_001")
    assert stored is not None
    assert (sorted(stored.running), stored.version) == (list(range(8)), 9)


async def test_twenty_values_are_saved_at_once(table: Table) -> None:
    values = [batch(number) for number in range(10)] + [part(number) for number in range(10)]
    assert await table.save(*values)
    assert len(await table.open_batches()) == 10
    assert set(await table.find_parts(batch(), range(20))) == set(range(10))


async def test_nothing_to_save_is_saved(table: Table) -> None:
    assert await table.save()


async def test_parts_are_found_by_their_numbers(table: Table) -> None:
    await table.save(*(part(number) for number in range(0, 40, 2)))
    assert set(await table.find_parts(batch(), [0, 1, 2, 2, 0, 24_999])) == {0, 2}
    assert len(await table.find_parts(batch(), range(250))) == 20
    assert await table.find_parts(batch(), []) == {}


async def test_nothing_of_another_workspace_is_found(table: Table) -> None:
    await table.save(stored_file(), upload(), batch(), part())
    assert await table.find_file("ws_two", "file-001") is None
    assert await table.find_upload("ws_two", "upload_1") is None
    assert await table.find_batch("ws_two", "batch_001") is None
    assert await table.list_files("ws_two", Page(10)) == []
    assert await table.list_batches("ws_two", Page(10)) == []
    assert await table.find_parts(batch(workspace_id="ws_two"), [0]) == {}
    assert not await table.save(batch(workspace_id="ws_two", version=1))


async def test_an_id_of_another_kind_or_length_is_not_found(table: Table) -> None:
    await table.save(stored_file(), upload(), batch())
    for id in ("upload_1", "batch_001", "", "é", "x" * 5000):
        assert await table.find_file("ws_one", id) is None
        assert await table.find_batch("ws_one", id.replace("batch", "file")) is None


async def test_pages_of_batches_in_both_directions(table: Table) -> None:
    await table.save(*(batch(number) for number in range(7)))
    await table.save(*(batch(number, "ws_two") for number in range(7)))

    async def pages(*, is_ascending: bool) -> list[list[str]]:
        found: list[list[str]] = []
        page = Page(3, is_ascending=is_ascending)
        while batches := await table.list_batches("ws_one", page):
            found.append([each.id for each in batches])
            page = replace(page, after=batches[-1].id)
        return found

    ids = [f"batch_{number:03}" for number in range(7)]
    assert await pages(is_ascending=True) == [ids[:3], ids[3:6], ids[6:]]
    assert await pages(is_ascending=False) == [ids[:-4:-1], ids[3:0:-1], ids[:1]]


async def test_a_page_begins_after_an_id_that_does_not_exist(table: Table) -> None:
    await table.save(batch(1), batch(3))
    assert [each.id for each in await table.list_batches("ws_one", Page(9, "batch_002"))] == ["batch_001"]
    assert [each.id for each in await table.list_batches("ws_one", Page(9, "batch_002", True))] == ["batch_003"]
    assert await table.list_batches("ws_one", Page(9, "z" * 5000, True)) == []


async def test_files_are_listed_by_purpose(table: Table) -> None:
    await table.save(upload(), *(stored_file(n, purpose="batch_output" if n % 3 else "batch") for n in range(12)))
    found = await table.list_files("ws_one", Page(3), "batch")
    assert [each.id for each in found] == ["file-009", "file-006", "file-003"]
    found = await table.list_files("ws_one", Page(3, found[-1].id), "batch")
    assert [each.id for each in found] == ["file-000"]
    assert len(await table.list_files("ws_one", Page(100))) == 12
    assert await table.list_files("ws_one", Page(100), "vision") == []


async def test_a_rare_purpose_is_found_behind_many_files(table: Table) -> None:
    numbers = range(130)
    for first in range(0, 130, 13):
        await table.save(*(stored_file(n, purpose="batch" if n else "evals") for n in numbers[first : first + 13]))
    assert [each.id for each in await table.list_files("ws_one", Page(1), "evals")] == ["file-000"]


async def test_an_expired_file_is_not_found(table: Table, world: World) -> None:
    file = stored_file(expires_at=NOON + 3600)
    await table.save(file, stored_file(2))
    world.clock.now = NOON + 3599
    assert len(await table.list_files("ws_one", Page(9))) == 2
    world.clock.now = NOON + 3600
    assert await table.find_file("ws_one", file.id) is None
    assert [each.id for each in await table.list_files("ws_one", Page(9))] == ["file-002"]
    assert not await table.save(replace(file, version=1))
    assert not await table.delete_file(file)


async def test_a_page_is_full_though_files_in_it_have_expired(table: Table, world: World) -> None:
    await table.save(*(stored_file(n, expires_at=NOON + 10 if n in (5, 6) else None) for n in range(9)))
    world.clock.now = NOON + 11
    assert [each.id[-1] for each in await table.list_files("ws_one", Page(4))] == ["8", "7", "4", "3"]


async def test_a_deleted_file_is_gone(table: Table) -> None:
    await table.save(stored_file(), stored_file(2))
    assert await table.delete_file(stored_file(version=1))
    assert not await table.delete_file(stored_file(version=1))
    assert await table.find_file("ws_one", "file-001") is None
    assert not await table.save(stored_file(version=1))
    assert len(await table.list_files("ws_one", Page(9))) == 1


async def test_an_upload_is_found_for_a_day_after_it_expired(table: Table, world: World) -> None:
    await table.save(upload())
    world.clock.now = NOON + 3600 + DAY - 1
    assert await table.find_upload("ws_one", "upload_1") == upload(version=1)
    world.clock.now = NOON + 3600 + DAY
    assert await table.find_upload("ws_one", "upload_1") is None


async def test_uploads_are_listed_without_those_of_others(table: Table, world: World) -> None:
    uploads = [upload(id=f"upload_{n}", status=("pending", "completed")[n % 2]) for n in range(5)]
    await table.save(*uploads, upload(id="upload_9", workspace_id="ws_two"), stored_file(), batch())
    stored = [replace(each, version=1) for each in uploads]
    assert await table.list_uploads("ws_one", Page(2)) == stored[:2:-1]
    assert await table.list_uploads("ws_one", Page(9, after="upload_3")) == stored[2::-1]
    assert await table.list_uploads("ws_one", Page(2, is_ascending=True)) == stored[:2]
    assert len(await table.list_files("ws_one", Page(9))) == 1
    world.clock.now = NOON + 3600 + DAY
    assert await table.list_uploads("ws_one", Page(9)) == []


async def test_a_pending_file_is_forgotten_after_two_days_and_a_processed_one_is_not(
    table: Table, world: World
) -> None:
    await table.save(stored_file(1, status="pending"), stored_file(2, status="pending"))
    await table.save(stored_file(3, status="pending", expires_at=NOON + 3600))
    assert await table.save(stored_file(2, version=1))
    world.clock.now = NOON + 3600
    assert [each.id[-1] for each in await table.list_files("ws_one", Page(9))] == ["2", "1"]
    world.clock.now = NOON + 2 * DAY
    assert [each.id[-1] for each in await table.list_files("ws_one", Page(9))] == ["2"]


async def test_batches_are_open_until_they_are_terminal(table: Table) -> None:
    await table.save(batch(1), batch(2), batch(1, "ws_two"))
    await table.save(batch(1, version=1, status="in_progress", fed=3))
    await table.save(batch(2, version=1, status="finalizing"))
    assert {(each.workspace_id, each.id, each.status) for each in await table.open_batches()} == {
        ("ws_one", "batch_001", "in_progress"),
        ("ws_one", "batch_002", "finalizing"),
        ("ws_two", "batch_001", "validating"),
    }
    assert await table.save(batch(1, version=2, status="cancelled"), batch(2, version=2, status="completed"))
    assert await table.open_batches() == [batch(1, "ws_two", version=1)]
    assert len(await table.list_batches("ws_one", Page(9))) == 2


async def test_a_refused_end_leaves_the_batch_open(table: Table) -> None:
    await table.save(batch())
    assert not await table.save(batch(version=7, status="completed"))
    assert await table.open_batches() == [batch(version=1)]


async def test_more_than_a_hundred_open_batches_are_found(table: Table) -> None:
    for first in range(0, 120, 20):
        await table.save(*(batch(first + n) for n in range(20)))
    assert len(await table.open_batches()) == 120


async def test_a_batch_expires_400_days_after_its_creation_unless_it_is_open(table: Table, world: World) -> None:
    await table.save(batch(1), batch(2))
    await table.save(batch(2, version=1, status="failed"))
    world.clock.now = NOON + RETENTION_SECONDS - 1
    assert len(await table.list_batches("ws_one", Page(9))) == 2
    world.clock.now = NOON + RETENTION_SECONDS
    assert [each.id for each in await table.list_batches("ws_one", Page(9))] == ["batch_001"]
    assert await table.find_batch("ws_one", "batch_002") is None


async def test_a_part_expires_30_days_after_its_last_change(table: Table, world: World) -> None:
    await table.save(part())
    world.clock.now += 7 * DAY
    assert await table.save(part(version=1, status="done"))
    world.clock.now += PART_SECONDS - 1
    assert set(await table.find_parts(batch(), [0])) == {0}
    world.clock.now += 1
    assert await table.find_parts(batch(), [0]) == {}


async def test_a_claim_is_given_once_until_its_time_is_over(table: Table, world: World) -> None:
    claim = "bucket/" + "é" * 1000
    assert await table.claim_once(claim, 50)
    assert not await table.claim_once(claim, 50)
    assert await table.claim_once("another", 50)
    world.clock.now += 49
    assert not await table.claim_once(claim, 50)
    world.clock.now += 1
    assert (await asyncio.gather(*(table.claim_once(claim, 50) for _ in range(5)))).count(True) == 1


async def test_a_workspace_is_deleted_with_all_of_its_entries_and_no_others(table: Table) -> None:
    for workspace_id in ("ws_one", "ws_one_b"):
        await table.save(stored_file(1, workspace_id), stored_file(2, workspace_id), upload(workspace_id=workspace_id))
        await table.save(batch(1, workspace_id), batch(2, workspace_id, status="failed"))
    await table.save(*(part(number) for number in range(20)))
    kept = part(batch_id="batch_003", workspace_id="ws_one_b")
    await table.save(kept)
    assert await table.open_batch_ids("ws_one") == ["batch_001"]
    await table.delete_all("ws_one")
    await table.delete_all("ws_one")
    assert await table.open_batch_ids("ws_one") == []
    assert await table.list_files("ws_one", Page(9)) == []
    assert await table.list_batches("ws_one", Page(9)) == []
    assert await table.find_upload("ws_one", "upload_1") is None
    assert await table.find_parts(batch(), range(20)) == {}
    assert await table.open_batches() == [batch(1, "ws_one_b", version=1)]
    assert len(await table.list_files("ws_one_b", Page(9))) == 2
    assert set(await table.find_parts(batch(3, "ws_one_b"), [0])) == {0}


async def test_what_was_deleted_cannot_be_written_by_a_worker_that_has_read_it(table: Table) -> None:
    await table.save(batch(), part())
    await table.delete_all("ws_one")
    assert not await table.save(batch(version=1), part(version=1))
    assert not await table.save(part(version=1, status="done"))
    assert await table.open_batches() == []


async def test_a_pace_is_written_by_version_like_all_values(table: Table) -> None:
    new = ProviderPace("openai")
    assert await table.find_pace("openai") == new
    taken = replace(new, blocked_until=NOON + 1.5, requests_at=NOON + 3, tokens_at=NOON + 4.25)
    assert [await table.save(taken), await table.save(new)] == [True, False]
    assert await table.find_pace("openai") == replace(taken, version=1)
    assert (await table.find_pace("groq"), await table.open_batches()) == (ProviderPace("groq"), [])
