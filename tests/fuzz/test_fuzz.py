"""A short run of the fuzz, with the same examples each time; `make fuzz` looks for new ones."""

from hypothesis import HealthCheck, given, settings

from tests.fuzz import properties
from tests.fuzz.batch_requests import batch_requests
from tests.fuzz.replies import Exchange, exchanges
from tests.fuzz.requests import Sent, admin_requests, requests
from tests.fuzz.state_requests import state_requests

short = settings(
    max_examples=60, derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck)
)


@short
@given(requests())
def test_requests_get_a_reply_or_a_defined_error(sent: Sent) -> None:
    properties.check_request(sent)


@short
@given(batch_requests())
def test_requests_about_files_and_batches_get_a_reply_or_a_defined_error(sent: Sent) -> None:
    properties.check_batch_request(sent)


@short
@given(state_requests())
def test_requests_about_stored_responses_get_a_reply_or_a_defined_error(sent: Sent) -> None:
    properties.check_state_request(sent)


@short
@given(exchanges())
def test_replies_of_providers_become_replies_or_defined_errors(exchange: Exchange) -> None:
    properties.check_reply(exchange)


def test_requests_of_the_admin_api_get_a_reply_or_a_defined_error() -> None:
    with properties.admin_api() as check:
        short(given(admin_requests())(lambda sent: check(sent)))()
