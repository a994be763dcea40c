import pytest

from tests.store_worlds import NOON, Clock
from tidegate.errors import TooManyFailures
from tidegate.policy.auth.throttle import GuessThrottle

HERE = "203.0.113.7"


def failed(times: int, address: str | None = HERE, max_addresses: int = 100) -> tuple[GuessThrottle, Clock]:
    clock = Clock()
    failures = GuessThrottle(clock, max_addresses)
    for _ in range(times):
        failures.record_failure(address)
    return failures, clock


def retry_after(failures: GuessThrottle, address: str | None = HERE) -> float | None:
    with pytest.raises(TooManyFailures) as caught:
        failures.delay_seconds(address)
    error = caught.value
    assert (error.status, error.code, error.type) == (429, "too_many_failures", "rate_limit_error")
    assert HERE not in error.message
    return error.retry_after_seconds


@pytest.mark.parametrize(("times", "seconds"), [(0, 0), (29, 0), (30, 0.1), (31, 0.2), (34, 1.6), (35, 2), (39, 2)])
def test_pauses_double_up_to_two_seconds(times: int, seconds: float) -> None:
    failures, _ = failed(times)
    assert failures.delay_seconds(HERE) == pytest.approx(seconds)


def test_more_are_refused_until_some_time_has_passed() -> None:
    failures, clock = failed(10_000)
    assert retry_after(failures) == 2
    clock.now += 1.5
    assert retry_after(failures) == 0.5
    clock.now += 0.5
    assert failures.delay_seconds(HERE) == 2


def test_in_a_minute_and_a_half_all_is_forgotten() -> None:
    failures, clock = failed(10_000)
    clock.now += 20.1
    assert failures.delay_seconds(HERE) == 0
    clock.now += 60
    for _ in range(30):
        failures.record_failure(HERE)
    assert failures.delay_seconds(HERE) == pytest.approx(0.1)


def test_a_clock_that_is_set_back_forgets_nothing() -> None:
    failures, clock = failed(40)
    clock.now = NOON - 3600
    assert retry_after(failures) == 2


def test_hosts_of_one_network_of_ipv6_are_one() -> None:
    failures, _ = failed(40, "2001:db8:1:2::1")
    assert retry_after(failures, "2001:db8:1:2:ffff::9") == 2
    assert failures.delay_seconds("2001:db8:1:3::1") == 0
    failures, _ = failed(40, "::ffff:203.0.113.7")
    assert retry_after(failures, HERE) == 2
    assert failures.delay_seconds("::ffff:203.0.113.8") == 0


@pytest.mark.parametrize("address", [None, "", "unknown", "::1%eth0"])
def test_addresses_that_are_not_known_are_slowed_too(address: str | None) -> None:
    failures, _ = failed(40, address)
    assert retry_after(failures, address) == 2
    assert failures.delay_seconds(HERE) == 0


def test_only_so_many_addresses_are_kept_and_the_oldest_goes_first() -> None:
    failures, _ = failed(40, HERE, max_addresses=2)
    failures.record_failure("198.51.100.1")
    failures.record_failure(HERE)
    failures.record_failure("198.51.100.2")
    assert retry_after(failures) == 2
    failures.record_failure("198.51.100.3")
    failures.record_failure("198.51.100.4")
    assert failures.delay_seconds(HERE) == 0
