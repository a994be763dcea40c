"""What was found of every fault: played once for all tests that look at it."""

import asyncio

import pytest

from tests.faults.faults import FAULTS
from tests.faults.measuring import Case, Found, cases, measure


@pytest.fixture(scope="session")
def found() -> dict[Case, Found]:
    return asyncio.run(measure(cases(FAULTS)))
