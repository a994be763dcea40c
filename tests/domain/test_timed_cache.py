"""Cached values age by the clock that moves further, and the least recently used one makes room."""

from tests.store_worlds import NOON, Clock
from tidegate.domain.timed_cache import Moment, TimedCache, TimedEntry


class World:
    """A cache of two entries, whose clocks a test can move."""

    def __init__(self) -> None:
        self.monotonic, self.wall = Clock(100.0), Clock(NOON)
        self.cache = TimedCache[str, str](2, monotonic=self.monotonic, wall=self.wall)

    def find(self, key: str) -> str | None:
        entry = self.cache.find(key, 60)
        return None if entry is None else entry.value


def test_an_entry_is_found_until_it_is_too_old() -> None:
    world = World()
    assert world.find("a") is None
    world.cache.put("a", "value")
    world.monotonic.now += 59.5
    world.wall.now += 59.5
    assert world.find("a") == "value"
    world.monotonic.now += 0.5
    assert world.find("a") is None


def test_time_passes_while_the_process_is_frozen() -> None:
    world = World()
    world.cache.put("a", "value")
    world.wall.now += 60
    assert world.find("a") is None


def test_a_wall_clock_that_is_set_back_serves_nothing_for_longer() -> None:
    world = World()
    world.cache.put("a", "value")
    world.wall.now -= 59
    assert world.find("a") == "value"
    world.monotonic.now += 60
    assert world.find("a") is None
    world.monotonic.now -= 60
    world.wall.now -= 1
    assert world.find("a") is None


def test_the_age_begins_when_the_value_was_read() -> None:
    world = World()
    read_at = world.cache.now()
    world.monotonic.now += 60
    world.cache.put("a", "value", read_at)
    assert world.find("a") is None
    assert world.cache.find("a", 61) == TimedEntry("value", Moment(100.0, NOON))


def test_an_entry_that_is_too_old_for_one_caller_stays_for_another() -> None:
    world = World()
    world.cache.put("a", "value")
    world.wall.now += 60
    assert (world.find("a"), world.cache.find("a", 3600)) == (None, TimedEntry("value", Moment(100.0, NOON)))


def test_the_least_recently_used_entry_makes_room() -> None:
    world = World()
    world.cache.put("a", "1")
    world.cache.put("b", "2")
    world.find("a")
    world.cache.put("c", "3")
    assert [world.find(key) for key in "abc"] == ["1", None, "3"]
    world.cache.put("a", "4")
    world.cache.put("b", "5")
    assert ([world.find(key) for key in "abc"], len(world.cache)) == (["4", "5", None], 2)


def test_a_removed_entry_is_gone() -> None:
    world = World()
    world.cache.put("a", "value")
    world.cache.remove("a")
    world.cache.remove("a")
    assert (world.find("a"), len(world.cache)) == (None, 0)


def test_values_are_not_printed() -> None:
    world = World()
    world.cache.put("a", "s3cret")
    assert "s3cret" not in repr(world.cache) + repr(world.cache.find("a", 60))
