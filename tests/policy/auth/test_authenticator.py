import asyncio

import pytest
from msgspec.structs import replace

from tests.store_worlds import NOON, Clock, key, workspace
from tidegate.domain.workspace import UNKNOWN_SOURCE, Principal, RequestSource, VirtualKey, Workspace
from tidegate.errors import (
    EndpointNotAllowed,
    InvalidKey,
    MissingWorkspace,
    NetworkNotAllowed,
    StoreUnavailable,
    TidegateError,
    TooManyFailures,
    WorkspaceForbidden,
)
from tidegate.memory.tenants import MemoryTenants
from tidegate.policy.auth.authenticator import Authenticator

SECRET = "sk-tidegate-one"
BEARER = f"Bearer {SECRET}"


class Bench:
    """An authenticator over the memory room, whose two clocks and directory a test can move."""

    def __init__(self, *keys: VirtualKey, workspaces: tuple[Workspace, ...] = (), **settings: int) -> None:
        self.tenants = MemoryTenants({each.id: each for each in workspaces}, {each.hash: each for each in keys})
        self.monotonic, self.wall = Clock(100.0), Clock(NOON)
        self.failure: TidegateError | None = None
        self.pause = asyncio.Event()
        self.pause.set()
        self.asked: list[str | None] = []
        self.authenticator = Authenticator(self, monotonic=self.monotonic, clock=self.wall, **settings)

    async def find_key(self, key_hash: str, workspace_id: str | None) -> tuple[VirtualKey | None, Workspace | None]:
        self.asked.append(workspace_id)
        await self.pause.wait()
        if self.failure is not None:
            raise self.failure
        return await self.tenants.find_key(key_hash, workspace_id)

    async def __call__(
        self, authorization: str | None = BEARER, workspace_id: str | None = None, *, required: bool = False
    ) -> tuple[Principal, Workspace]:
        return await self.authenticator.authenticate(authorization, workspace_id, required_workspace=required)

    def pass_time(self, seconds: float) -> None:
        self.monotonic.now += seconds
        self.wall.now += seconds


def bench(stored: VirtualKey | None = None, **settings: int) -> Bench:
    workspaces = (workspace("ws_one"), workspace("ws_two"), replace(workspace("ws_off"), status="suspended"))
    return Bench(stored or key(), workspaces=workspaces, **settings)


ADMITTED = (Principal("key_one", ("ws_one",)), workspace("ws_one"))


async def test_a_key_opens_its_only_workspace() -> None:
    assert await bench()() == ADMITTED


async def test_the_principal_has_the_sampling_rate_of_its_key() -> None:
    principal, _ = await bench(key(trace_sample=0.5))()
    assert principal == Principal("key_one", ("ws_one",), trace_sample=0.5)


async def test_a_key_opens_the_workspace_named() -> None:
    several = key(workspace_ids=("ws_one", "ws_two"), default_workspace_id="ws_one")
    admitted = (Principal("key_one", ("ws_one", "ws_two")), workspace("ws_two"))
    assert await bench(several)(BEARER, " ws_two ") == admitted


async def test_a_key_opens_its_default() -> None:
    several = key(workspace_ids=("ws_one", "ws_two"), default_workspace_id="ws_two")
    _, opened = await bench(several)(BEARER, "")
    assert opened == workspace("ws_two")


@pytest.mark.parametrize("scheme", ["bearer", "BEARER", "Bearer", "beaRER  "])
async def test_the_scheme_is_read_in_any_case(scheme: str) -> None:
    assert await bench()(f" {scheme} {SECRET} ") == ADMITTED


async def test_any_token_may_be_a_key() -> None:
    assert await bench(key("täst", id="key_one"))("Bearer täst") == ADMITTED


@pytest.mark.parametrize("authorization", [None, "", "  "])
async def test_a_request_without_a_key_is_told_how_to_send_one(authorization: str | None) -> None:
    made = bench()
    with pytest.raises(InvalidKey) as caught:
        await made(authorization)
    message = "This request has no API key. Send 'Authorization: Bearer <your key>'."
    assert (caught.value.message, made.asked) == (message, [])


@pytest.mark.parametrize(
    "authorization", [SECRET, "Bearer", "Bearer  ", f"Basic {SECRET}", f"Bearer {SECRET} {SECRET}"]
)
async def test_a_malformed_header_is_told_how_to_be_sent_and_not_repeated(authorization: str) -> None:
    made = bench()
    with pytest.raises(InvalidKey) as caught:
        await made(authorization)
    message = "The Authorization header does not hold a bearer key. Send 'Authorization: Bearer <your key>'."
    assert (caught.value.message, made.asked) == (message, [])


async def refusal(made: Bench, *arguments: str | None, required: bool = False) -> tuple[type[TidegateError], str, int]:
    with pytest.raises(TidegateError) as caught:
        await made(*arguments, required=required)
    return type(caught.value), caught.value.message, len(made.asked)


@pytest.mark.parametrize("workspace_id", [None, "ws_one", "ws_two", "ws_unknown"])
@pytest.mark.parametrize("required", [False, True])
async def test_unknown_revoked_and_expired_keys_are_refused_alike(workspace_id: str | None, required: bool) -> None:
    unusable = [key("sk-tidegate-other"), key(status="revoked"), key(expires_at=NOON), key(expires_at=NOON - 1)]
    refusals = {await refusal(bench(stored), BEARER, workspace_id, required=required) for stored in unusable}
    message = "This API key is not valid: it is unknown, revoked or expired. Send 'Authorization: Bearer <your key>'."
    assert refusals == {(InvalidKey, message, 1)}


async def test_unknown_foreign_and_suspended_workspaces_are_refused_alike() -> None:
    stored = key(workspace_ids=("ws_one", "ws_off", "ws_gone"))
    asked = ["ws_two", "ws_unknown", "ws_off", "ws_gone", "w" * 5000]
    refusals = {await refusal(bench(stored), BEARER, workspace_id) for workspace_id in asked}
    message = "This key may not use this workspace: it is unknown, suspended, or not granted."
    assert refusals == {(WorkspaceForbidden, message, 1)}


async def test_an_implied_workspace_that_is_suspended_or_not_the_keys_is_refused() -> None:
    odd = [
        key(workspace_ids=("ws_off",)),
        key(workspace_ids=("ws_gone",)),
        key(workspace_ids=()),
        key(default_workspace_id="ws_two"),
    ]
    assert {(await refusal(bench(stored)))[0] for stored in odd} == {WorkspaceForbidden}


async def test_no_workspace_id_of_a_stranger_is_too_long_for_the_store() -> None:
    made = bench()
    await refusal(made, BEARER, "w" * 5000)
    assert made.asked == ["w" * 128]


async def test_a_key_with_several_workspaces_has_to_name_one() -> None:
    several = key(workspace_ids=("ws_one", "ws_two"))
    message = "This key has several workspaces: name one in the x-workspace-id header."
    assert await refusal(bench(several)) == (MissingWorkspace, message, 1)


async def test_where_a_workspace_is_required_a_default_does_not_do() -> None:
    made = bench()
    message = "The x-workspace-id header is required here: set it to the id of your workspace."
    assert await refusal(made, BEARER, None, required=True) == (MissingWorkspace, message, 1)
    assert await made() == ADMITTED
    assert await refusal(made, BEARER, None, required=True) == (MissingWorkspace, message, 2)
    assert await made(BEARER, "ws_one", required=True) == ADMITTED


async def test_the_key_is_checked_before_the_workspace_is_missed() -> None:
    assert (await refusal(bench(), "Bearer sk-tidegate-other", None, required=True))[0] is InvalidKey


async def test_a_caller_who_was_let_in_is_remembered_for_sixty_seconds() -> None:
    made = bench()
    for _ in range(3):
        assert await made() == ADMITTED
        made.pass_time(29.9)
    await made()
    assert len(made.asked) == 2


async def test_each_workspace_is_looked_up_for_itself() -> None:
    made = bench(key(workspace_ids=("ws_one", "ws_two")))
    for workspace_id in ("ws_one", "ws_two", "ws_one", "ws_two"):
        _, opened = await made(BEARER, workspace_id)
        assert opened.id == workspace_id
    assert made.asked == ["ws_one", "ws_two"]


async def test_a_revoked_key_stops_working_within_sixty_seconds() -> None:
    made = bench()
    await made()
    await made.tenants.revoke_key("ws_one", "key_one")
    made.pass_time(59.9)
    await made()
    made.pass_time(0.1)
    assert (await refusal(made))[0] is InvalidKey


async def test_a_suspended_workspace_stops_working_within_sixty_seconds() -> None:
    made = bench()
    await made()
    await made.tenants.set_workspace_status("ws_one", "suspended")
    made.pass_time(60)
    assert (await refusal(made))[0] is WorkspaceForbidden


async def test_the_sixty_seconds_begin_before_the_read() -> None:
    made = bench()
    made.pause.clear()
    reading = asyncio.create_task(made())
    await asyncio.sleep(0)
    made.pass_time(60)
    made.pause.set()
    await reading
    await made()
    assert len(made.asked) == 2


async def test_time_passes_while_the_process_is_frozen() -> None:
    made = bench()
    await made()
    made.wall.now += 60
    await made()
    assert len(made.asked) == 2


async def test_a_clock_that_is_set_back_does_not_prolong_a_key() -> None:
    made = bench()
    await made()
    made.wall.now -= 3600
    made.monotonic.now += 60
    await made()
    assert len(made.asked) == 2


async def test_a_key_that_expires_while_it_is_remembered_stops_working_at_once() -> None:
    made = bench(key(expires_at=NOON + 10))
    await made()
    made.pass_time(10)
    assert (await refusal(made))[0] is InvalidKey


async def test_a_key_that_is_restricted_needs_a_known_source_every_time() -> None:
    made = bench(key(networks=("203.0.113.0/24",), endpoints=("/v1/*",)))
    good = RequestSource("203.0.113.7", "/v1/models")
    for source, refused in (
        (UNKNOWN_SOURCE, EndpointNotAllowed),
        (RequestSource("203.0.113.7", "/other"), EndpointNotAllowed),
        (RequestSource("198.51.100.1", "/v1/models"), NetworkNotAllowed),
        (good, None),
        (RequestSource("198.51.100.1", "/v1/models"), NetworkNotAllowed),
        (RequestSource("203.0.113.7", "/other"), EndpointNotAllowed),
        (UNKNOWN_SOURCE, EndpointNotAllowed),
        (good, None),
    ):
        if refused is None:
            assert await made.authenticator.authenticate(BEARER, None, source=source) == ADMITTED
            continue
        with pytest.raises(refused):
            await made.authenticator.authenticate(BEARER, None, source=source)


async def test_a_refusal_is_remembered_for_ten_seconds() -> None:
    made = bench(key(status="revoked"))
    await refusal(made)
    made.tenants.keys[key().hash] = key()
    made.pass_time(9)
    await refusal(made)
    assert len(made.asked) == 1
    made.pass_time(1)
    assert await made() == ADMITTED


async def test_refused_keys_do_not_displace_callers_who_were_let_in() -> None:
    made = bench(max_cached=1)
    assert await made() == ADMITTED
    await refusal(made, "Bearer sk-tidegate-guess")
    made.tenants.keys.clear()
    assert await made() == ADMITTED


async def test_only_so_many_callers_are_remembered_and_the_longest_unseen_goes_first() -> None:
    secrets = ["sk-tidegate-aaa", "sk-tidegate-bbb", "sk-tidegate-ccc"]
    made = Bench(*(key(secret) for secret in secrets), workspaces=(workspace(),), max_cached=2)
    first, second, third = (f"Bearer {secret}" for secret in secrets)
    for authorization in (first, second, first, third):
        await made(authorization)
    assert len(made.asked) == 3
    await made(first)
    assert len(made.asked) == 3
    await made(second)
    assert len(made.asked) == 4


async def test_look_ups_of_the_same_at_the_same_time_share_one_read() -> None:
    made = bench()
    made.pause.clear()
    callers = [asyncio.create_task(made()) for _ in range(20)]
    await asyncio.sleep(0)
    made.pause.set()
    assert await asyncio.gather(*callers) == [ADMITTED] * 20
    assert len(made.asked) == 1


async def test_a_store_that_does_not_answer_lets_nobody_in_and_all_know() -> None:
    made = bench()
    made.failure = StoreUnavailable("gone")
    made.pause.clear()
    callers = [asyncio.create_task(made()) for _ in range(3)]
    await asyncio.sleep(0)
    made.pause.set()
    results = await asyncio.gather(*callers, return_exceptions=True)
    assert ([type(result) for result in results], len(made.asked)) == ([StoreUnavailable] * 3, 1)
    made.failure = None
    assert await made() == ADMITTED


async def test_a_caller_who_hangs_up_does_not_take_the_others_along() -> None:
    made = bench()
    made.pause.clear()
    leader, *others = [asyncio.create_task(made()) for _ in range(3)]
    await asyncio.sleep(0)
    leader.cancel()
    for _ in range(5):  # until one of the others has begun to read
        await asyncio.sleep(0)
    made.pause.set()
    assert await asyncio.gather(*others) == [ADMITTED] * 2
    assert leader.cancelled()
    assert len(made.asked) == 2


async def test_one_who_waits_may_hang_up_too() -> None:
    made = bench()
    made.pause.clear()
    leader, other = (asyncio.create_task(made()) for _ in range(2))
    await asyncio.sleep(0)
    other.cancel()
    await asyncio.sleep(0)
    made.pause.set()
    assert await leader == ADMITTED
    assert (other.cancelled(), len(made.asked)) == (True, 1)


GUESS = "Bearer sk-tidegate-guess"
HERE = RequestSource("203.0.113.7", "/v1/models")


async def guessed(made: Bench, source: RequestSource = HERE, bearer: str = GUESS) -> type[TidegateError]:
    with pytest.raises(TidegateError) as caught:
        await made.authenticator.authenticate(bearer, None, source=source)
    return type(caught.value)


async def test_one_wrong_key_costs_one_read_and_is_then_told_to_wait() -> None:
    made = bench()
    assert [await guessed(made) for _ in range(35)] == [InvalidKey] * 30 + [TooManyFailures] * 5
    assert len(made.asked) == 1


async def test_each_random_key_costs_one_read() -> None:
    made = bench()
    refused = [await guessed(made, bearer=f"{GUESS}-{number}") for number in range(50)]
    assert (refused, len(made.asked)) == ([InvalidKey] * 30 + [TooManyFailures] * 20, 50)


@pytest.mark.parametrize("is_cached", [False, True])
async def test_a_valid_key_is_let_in_whatever_its_address_has_sent(is_cached: bool) -> None:
    made = bench()
    if is_cached:
        assert await made.authenticator.authenticate(BEARER, None, source=HERE) == ADMITTED
    for number in range(200):
        await guessed(made, bearer=f"{GUESS}-{number}")
    assert await made.authenticator.authenticate(BEARER, None, source=HERE) == ADMITTED


async def test_other_addresses_are_heard() -> None:
    made = bench()
    for _ in range(50):
        await guessed(made)
    assert await guessed(made, RequestSource("203.0.113.8")) is InvalidKey


async def test_only_guesses_are_counted() -> None:
    made = bench()
    for _ in range(50):
        for authorization, workspace_id in ((None, None), ("Basic x", None), (BEARER, "ws_two")):
            with pytest.raises(TidegateError):
                await made.authenticator.authenticate(authorization, workspace_id, source=HERE)
    made.failure = StoreUnavailable("gone")
    for _ in range(50):
        assert await guessed(made) is StoreUnavailable
    made.failure = None
    assert await guessed(made) is InvalidKey
