"""What the journal of a part has on record."""

from collections.abc import Iterator

from tidegate.batch.part_answers import journal_keys
from tidegate.batch.ports import BatchObjects
from tidegate.batch.results import Result, journal_places
from tidegate.domain.batch import Part


def journal_results(data: bytes) -> Iterator[Result]:
    """The results in a journal object, in the order in which they were recorded."""
    for place in journal_places(data):
        yield place.result(data)


async def recorded_results(objects: BatchObjects, part: Part) -> list[Result]:
    """The results of all attempts of a part. Each object that is on record must exist."""
    results: list[Result] = []
    for key in journal_keys(part):
        data = await objects.read(key)
        assert data is not None
        results += journal_results(data)
    return results
