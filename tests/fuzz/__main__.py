"""`python -m tests.fuzz [--minutes 10] [--seed N]`: fuzz with new examples until the time is over.

A failure is shrunk and printed; `--seed` with the number that is printed before it repeats the run.
"""

import argparse
import logging
import random
import time
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, given, seed, settings

from tests.fuzz import properties
from tests.fuzz.batch_requests import batch_requests
from tests.fuzz.replies import exchanges
from tests.fuzz.requests import admin_requests, requests
from tests.fuzz.state_requests import state_requests

EXAMPLES = 300


def properties_of(check_admin: Callable[[Any], None]) -> list[tuple[str, Any, Callable[[Any], None]]]:
    """The names of the properties, what they are checked with, and their checks."""
    return [
        ("requests", requests(), properties.check_request),
        ("requests about batches", batch_requests(), properties.check_batch_request),
        ("requests about stored responses", state_requests(), properties.check_state_request),
        ("replies", exchanges(), properties.check_reply),
        ("admin requests", admin_requests(), check_admin),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description="Fuzz the gateway in memory.")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, help="repeat the round with that number")
    arguments = parser.parse_args()
    logging.disable(logging.CRITICAL)
    ends_at = time.monotonic() + 60 * arguments.minutes
    rounds = 0
    with properties.admin_api() as check_admin:
        listed = properties_of(check_admin)
        while rounds == 0 or (arguments.seed is None and time.monotonic() < ends_at):
            number = random.getrandbits(32) if arguments.seed is None else arguments.seed
            for name, strategy, check in listed:
                print(f"{name}: seed {number}", flush=True)
                run(strategy, check, number)
            rounds += 1
        print(f"{rounds * EXAMPLES * len(listed):,} examples, no failure")


def run(strategy: Any, check: Callable[[Any], None], number: int) -> None:
    """Check `EXAMPLES` examples, which the seed `number` determines."""
    limited = settings(max_examples=EXAMPLES, database=None, deadline=None, suppress_health_check=list(HealthCheck))
    seed(number)(limited(given(strategy)(lambda value: check(value))))()


if __name__ == "__main__":
    main()
