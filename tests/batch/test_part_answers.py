"""The answers of a part: those that are large are on record, and not in memory."""

import tracemalloc
from pathlib import Path

import pytest
from msgspec.structs import replace

from tests.batch.journals import journal_results
from tidegate.batch import part_answers
from tidegate.batch.keys import journal_key
from tidegate.batch.part_answers import PartAnswers
from tidegate.batch.results import Result, journal_entry, not_asked
from tidegate.domain.batch import Part
from tidegate.errors import StoreUnavailable
from tidegate.memory.batch_objects import MemoryBatchObjects
from tidegate.sqlite.batch_files import FileBatchObjects

PART = Part(
    batch_id="batch_1",
    workspace_id="ws_test",
    number=0,
    first_line=0,
    first_byte=0,
    length=0,
    lines=6,
    journal_objects=(2, 1),
)
RESULTS = [Result(line, "e" if line == 2 else "o", b'{"n": %d}' % line) for line in (3, 0, 2, 5, 1)]
OUTPUT = b'{"n": 0}\n{"n": 1}\n{"n": 3}\n{"n": 5}\n'


def key_of(index: int) -> str:
    return journal_key("ws_test", "batch_1", 0, *((0, 0), (0, 1), (1, 0))[index])


async def recorded(answers: PartAnswers, objects: MemoryBatchObjects) -> None:
    """Answer lines, which are put on record in three journal objects."""
    for index, some in enumerate((RESULTS[:2], RESULTS[2:4], RESULTS[4:])):
        for result in some:
            answers.add(result)
        data = b"".join(map(journal_entry, some))
        await objects.put(key_of(index), data)
        answers.put_on_record(key_of(index), data)


@pytest.mark.parametrize("held", [0, 9, 1000])
@pytest.mark.parametrize("is_loaded", [False, True])
async def test_answers_are_written_in_order_whether_they_are_held_or_read_again(
    held: int, is_loaded: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(part_answers, "HELD_BYTES", held)
    objects = MemoryBatchObjects()
    answers = PartAnswers(objects)
    await recorded(answers, objects)
    if is_loaded:
        answers = PartAnswers(objects)
        await answers.load(PART)
    assert (len(answers), sorted(answers), 4 in answers, 5 in answers) == (5, [0, 1, 2, 3, 5], False, True)
    assert (await answers.write("o", "o"), await objects.read("o")) == (len(OUTPUT), OUTPUT)
    assert (await answers.write("e", "e"), await objects.read("e")) == (9, b'{"n": 2}\n')
    late = not_asked("batch_1", 4, "a", "batch_expired", "Too late.")
    answers.add(late)
    async with objects.writer("all") as writer:
        await answers.append(writer, "e")
    assert await objects.read("all") == b'{"n": 2}\n' + late.text + b"\n"


async def test_without_answers_there_is_no_object() -> None:
    objects = MemoryBatchObjects()
    assert await PartAnswers(objects).write("o", "o") == 0
    assert await objects.list_keys("") == []


async def test_an_answer_whose_journal_was_deleted_is_asked_again_by_the_next_worker(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(part_answers, "HELD_BYTES", 0)
    objects = MemoryBatchObjects()
    answers = PartAnswers(objects)
    await recorded(answers, objects)
    await objects.delete([key_of(1)])
    with pytest.raises(StoreUnavailable):
        await answers.write("o", "o")
    assert await objects.read("o") is None
    answers = PartAnswers(objects)
    await answers.load(PART)
    assert sorted(answers) == [0, 1, 3]


def test_a_journal_object_has_its_results_in_their_order() -> None:
    assert list(journal_results(b"".join(map(journal_entry, RESULTS)))) == RESULTS


async def test_large_answers_take_little_memory(tmp_path: Path) -> None:
    """A hundred images of a MiB each, on record in as many objects."""
    objects, part = FileBatchObjects(tmp_path), replace(PART, journal_objects=(100,))
    tracemalloc.start()
    try:
        answers = PartAnswers(objects)
        for line in range(100):
            result = Result(line, "o", b"x" * 1024**2)
            answers.add(result)
            key = journal_key("ws_test", "batch_1", 0, 0, line)
            await objects.put(key, journal_entry(result))
            answers.put_on_record(key, journal_entry(result))
        assert await answers.write("o", "o") == 100 * (1024**2 + 1)
        await PartAnswers(objects).load(part)
        assert tracemalloc.get_traced_memory()[1] < 64 * 1024**2
    finally:
        tracemalloc.stop()
