import logging

import pytest

from tests.store_worlds import NOON, Clock
from tidegate.domain.keys import hash_secret
from tidegate.errors import ExpiredToken, InvalidKey, InvalidToken, TidegateError, TooManyFailures
from tidegate.policy.auth.throttle import MAX_WRONG_KEYS, GuessThrottle

HERE = "203.0.113.7"
WRONG = InvalidKey("This API key is not valid.")
KEY_HASH = hash_secret("sk-tidegate-guess")


def failed(times: int, address: str | None = HERE, max_addresses: int = 100) -> tuple[GuessThrottle, Clock]:
    clock = Clock()
    throttle = GuessThrottle(clock, max_addresses)
    for _ in range(times):
        throttle.refusal(address, KEY_HASH, WRONG)
    return throttle, clock


def retry_after(throttle: GuessThrottle, address: str | None = HERE) -> float | None:
    """Refuse once more, and return the seconds of the 429; None if the error was the key's own."""
    error = throttle.refusal(address, KEY_HASH, WRONG)
    if error is WRONG:
        return None
    assert (type(error), error.status, error.code) == (TooManyFailures, 429, "too_many_failures")
    assert (error.type, error.should_retry) == ("rate_limit_error", False)
    assert HERE not in error.message
    return error.retry_after_seconds


@pytest.mark.parametrize(("times", "seconds"), [(0, None), (29, None), (30, 2), (31, 2), (10_000, 2)])
def test_the_thirty_first_wrong_key_of_a_minute_is_told_to_wait(times: int, seconds: float | None) -> None:
    assert retry_after(failed(times)[0]) == seconds


def test_each_two_seconds_one_more_gets_its_own_error() -> None:
    throttle, clock = failed(10_000)
    clock.now += 1.5
    assert retry_after(throttle) == 0.5
    clock.now += 2
    assert [retry_after(throttle), retry_after(throttle)] == [None, 2]


def test_in_a_minute_all_is_forgotten() -> None:
    throttle, clock = failed(10_000)
    clock.now += 60
    assert [retry_after(throttle) for _ in range(31)] == [None] * 30 + [2]


def test_a_clock_that_is_set_back_forgets_nothing() -> None:
    throttle, clock = failed(40)
    clock.now = NOON - 3600
    assert retry_after(throttle) == 2


def test_hosts_of_one_network_of_ipv6_are_one() -> None:
    throttle, _ = failed(40, "2001:db8:1:2::1")
    assert retry_after(throttle, "2001:db8:1:2:ffff::9") == 2
    assert retry_after(throttle, "2001:db8:1:3::1") is None
    throttle, _ = failed(40, "::ffff:203.0.113.7")
    assert retry_after(throttle, HERE) == 2
    assert retry_after(throttle, "::ffff:203.0.113.8") is None


@pytest.mark.parametrize("address", [None, "", "unknown", "::1%eth0"])
def test_addresses_that_are_not_known_are_counted_too(address: str | None) -> None:
    throttle, _ = failed(40, address)
    assert retry_after(throttle, address) == 2
    assert retry_after(throttle, HERE) is None


def test_only_so_many_addresses_are_kept_and_the_oldest_goes_first() -> None:
    throttle, _ = failed(40, HERE, max_addresses=2)
    for address in ("198.51.100.1", HERE, "198.51.100.2"):
        retry_after(throttle, address)
    assert retry_after(throttle) == 2
    for address in ("198.51.100.3", "198.51.100.4"):
        retry_after(throttle, address)
    assert retry_after(throttle) is None


def test_an_expired_token_always_hears_that_it_has_expired() -> None:
    throttle, _ = failed(40)
    expired = ExpiredToken("The access token has expired.")
    assert throttle.refusal(HERE, KEY_HASH, expired) is expired
    fresh = failed(0)[0]
    for _ in range(50):
        assert fresh.refusal(HERE, KEY_HASH, expired) is expired
    assert retry_after(fresh) is None
    forged = InvalidToken("The access token's signature is wrong.")
    assert isinstance(throttle.refusal(HERE, KEY_HASH, forged), TooManyFailures)


def wrong(throttle: GuessThrottle, key_hash: str) -> str | None:
    try:
        throttle.check_known_wrong(key_hash)
    except InvalidKey as error:
        return error.message
    return None


def test_a_wrong_key_is_remembered_for_ten_seconds_from_its_look_up() -> None:
    throttle, clock = failed(1)
    assert (wrong(throttle, KEY_HASH), wrong(throttle, hash_secret("another"))) == (WRONG.message, None)
    clock.now += 6
    throttle.refusal(HERE, KEY_HASH, WRONG)  # without a look-up: it does not renew the ten seconds
    assert wrong(throttle, KEY_HASH) == WRONG.message
    clock.now += 4
    assert wrong(throttle, KEY_HASH) is None


@pytest.mark.parametrize("error", [InvalidToken("forged"), ExpiredToken("expired")])
def test_wrong_tokens_are_not_remembered_for_they_cost_no_read(error: TidegateError) -> None:
    throttle = failed(0)[0]
    throttle.refusal(HERE, KEY_HASH, error)
    assert wrong(throttle, KEY_HASH) is None


def test_only_so_many_wrong_keys_are_remembered() -> None:
    throttle, _ = failed(1)
    for number in range(MAX_WRONG_KEYS):
        throttle.refusal(HERE, str(number), WRONG)
    assert (wrong(throttle, KEY_HASH), wrong(throttle, "1")) == (None, WRONG.message)


def test_each_wrong_key_is_in_the_log_and_what_was_sent_is_not(caplog: pytest.LogCaptureFixture) -> None:
    failed(32)
    assert [(line.levelno, line.message) for line in caplog.records] == [(logging.WARNING, "auth.refused")] * 32
    assert {(vars(line)["address"], vars(line)["error"]) for line in caplog.records} == {(HERE, "invalid_api_key")}
    assert KEY_HASH not in str([vars(line) for line in caplog.records])
