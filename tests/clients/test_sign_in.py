"""Signing in to the dashboard with the OIDC issuer, in a real browser, against an issuer on this machine."""

import json
from collections.abc import Iterator
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from playwright.sync_api import Browser, expect

from tests.clients.browser import Visit, visiting
from tests.clients.issuer import CLIENT, Issuer, issuing
from tests.clients.world import DEMO_KEY, DEMO_WORKSPACE, serving
from tests.identity.issuing import AUDIENCE, token

pytestmark = pytest.mark.slow

CALLS = "#/calls?live=off"


@pytest.fixture(scope="module")
def running() -> Iterator[tuple[Issuer, str]]:
    with issuing() as issuer:
        env = {
            "TIDEGATE_OIDC_ISSUER": issuer.url,
            "TIDEGATE_OIDC_AUDIENCE": AUDIENCE,
            "TIDEGATE_OIDC_CLIENT_ID": CLIENT,
            "TIDEGATE_OIDC_WORKSPACES_CLAIM": "workspaces",
        }
        with serving("--store", "memory", env=env) as (program, port):
            yield issuer, f"http://127.0.0.1:{port}"
        assert program.err == []


@pytest.fixture
def issuer(running: tuple[Issuer, str]) -> Issuer:
    found = running[0]
    found.__init__(found.url, claims={"workspaces": DEMO_WORKSPACE})
    return found


@pytest.fixture
def visit(browser: Browser, running: tuple[Issuer, str]) -> Iterator[Visit]:
    with visiting(browser, running[1]) as opened:
        yield opened


def sign_in(visit: Visit, issuer: Issuer, address: str = "") -> None:
    visit.open(address)
    visit.page.get_by_role("button", name=f"Sign in with {issuer.url.partition('//')[2]}").click()


def stored(visit: Visit, name: str) -> str:
    return visit.page.evaluate("name => sessionStorage.getItem(name)", f"tidegate.{name}")


def let_expire(visit: Visit, issuer: Issuer) -> None:
    """Replace the token of the tab by one that expired an hour ago."""
    expired = token(iss=issuer.url, iat=0, exp=1_000_000_000, workspaces=DEMO_WORKSPACE)
    visit.page.evaluate("token => sessionStorage.setItem('tidegate.key', token)", expired)
    visit.page.reload()


def test_a_person_signs_in_and_gets_the_page_that_was_asked_for(visit: Visit, issuer: Issuer) -> None:
    sign_in(visit, issuer, CALLS)
    expect(visit.page.get_by_role("heading", name="Calls", exact=True)).to_be_visible()
    assert visit.page.url == f"{visit.root}/console/index.html{CALLS}"
    places = visit.page.evaluate("[JSON.stringify(localStorage), document.cookie, JSON.stringify(sessionStorage)]")
    assert [stored(visit, "key") in text for text in places] == [False, False, True]
    assert stored(visit, "flow") is None  # a sign-in is finished once
    visit.page.reload()
    expect(visit.page.get_by_role("heading", name="Calls", exact=True)).to_be_visible()


def test_signing_out_forgets_the_tokens_and_gives_back_what_renews_them(visit: Visit, issuer: Issuer) -> None:
    issuer.renews = True
    sign_in(visit, issuer)
    visit.page.get_by_role("button", name="Sign out").click()
    expect(visit.page.get_by_label("Key")).to_be_visible()
    visit.page.wait_for_function("() => !Object.keys(sessionStorage).length")
    for _ in range(50):
        if issuer.revoked:
            break
        visit.page.wait_for_timeout(100)
    assert issuer.revoked == ["refresh-1"]


@pytest.mark.parametrize("address", ["?state=forged&code=code-0", "?state=forged&error=access_denied"])
def test_a_state_that_this_tab_did_not_make_signs_nobody_in_or_out(visit: Visit, issuer: Issuer, address: str) -> None:
    visit.open(address)
    expect(visit.page.get_by_role("alert")).to_contain_text("not begun in this tab")
    assert (stored(visit, "key"), issuer.issued, "forged" in visit.page.url) == (None, 0, False)
    visit.sign_in(DEMO_KEY)
    visit.open(address)
    expect(visit.page.get_by_role("heading", name="Overview")).to_be_visible()
    assert stored(visit, "key") == DEMO_KEY


def test_a_token_of_another_sign_in_is_refused(visit: Visit, issuer: Issuer) -> None:
    issuer.nonce = "another"
    sign_in(visit, issuer)
    expect(visit.page.get_by_role("alert")).to_contain_text("belongs to another sign-in")
    assert stored(visit, "key") is None


def test_an_issuer_that_refuses_is_quoted_as_text(visit: Visit, issuer: Issuer) -> None:
    reason = "<img src=x onerror=\"document.title='run'\">"
    visit.page.route(
        "**/authorize?*",
        lambda route: route.fulfill(status=302, headers={"location": refusal(route.request.url, reason)}),
    )
    sign_in(visit, issuer, CALLS)
    expect(visit.page.get_by_role("alert")).to_have_text(f"The issuer refused: {reason}")
    assert (visit.page.title(), visit.page.url.endswith(CALLS)) == ("Tidegate", True)


def refusal(asked: str, reason: str) -> str:
    fields = parse_qs(urlsplit(asked).query)
    answer = {"error": "access_denied", "error_description": reason, "state": fields["state"][0]}
    return f"{fields['redirect_uri'][0]}?{urlencode(answer)}"


def test_an_expired_token_is_renewed_without_a_question(visit: Visit, issuer: Issuer) -> None:
    issuer.renews = True
    sign_in(visit, issuer, CALLS)
    expect(visit.page.get_by_role("heading", name="Calls", exact=True)).to_be_visible()
    let_expire(visit, issuer)
    expect(visit.page.get_by_role("heading", name="Calls", exact=True)).to_be_visible()
    assert (issuer.issued, json.loads(stored(visit, "grant"))["refreshToken"]) == (2, "refresh-2")


def test_a_token_that_soon_expires_is_renewed_once_for_all_requests(visit: Visit, issuer: Issuer) -> None:
    issuer.renews, issuer.seconds = True, 30
    sign_in(visit, issuer)
    expect(visit.page.get_by_role("heading", name="Overview")).to_be_visible()
    before, issuer.seconds = issuer.issued, 600
    visit.page.evaluate("Promise.all([1, 2, 3].map(async () => (await import('./api.js')).read('console', '/me')))")
    assert issuer.issued <= before + 1


def test_an_expired_token_that_cannot_be_renewed_asks_to_sign_in_and_keeps_the_page(
    visit: Visit, issuer: Issuer
) -> None:
    sign_in(visit, issuer, CALLS)
    expect(visit.page.get_by_role("heading", name="Calls", exact=True)).to_be_visible()
    let_expire(visit, issuer)
    expect(visit.page.get_by_role("alert")).to_contain_text("expired")
    visit.page.get_by_role("button", name="Sign in with").click()
    expect(visit.page.get_by_role("heading", name="Calls", exact=True)).to_be_visible()
    assert visit.page.url.endswith(CALLS)


def test_an_issuer_that_is_down_is_named_and_keys_still_work(visit: Visit, issuer: Issuer) -> None:
    issuer.is_down = True
    sign_in(visit, issuer)
    expect(visit.page.get_by_role("alert")).to_contain_text("The issuer refused: 503")
    visit.page.context.route(f"{issuer.url}/**", lambda route: route.abort())
    visit.page.get_by_role("button", name="Sign in with").click()
    expect(visit.page.get_by_role("alert")).to_contain_text("The issuer cannot be reached")
    visit.try_key(DEMO_KEY)
    expect(visit.page.get_by_role("heading", name="Overview")).to_be_visible()


def test_a_subject_without_a_workspace_learns_what_the_operator_needs(browser: Browser) -> None:
    with issuing() as issuer:
        env = {
            "TIDEGATE_OIDC_ISSUER": issuer.url,
            "TIDEGATE_OIDC_AUDIENCE": AUDIENCE,
            "TIDEGATE_OIDC_CLIENT_ID": CLIENT,
        }
        with serving("--store", "memory", env=env) as (_, port), visiting(browser, f"http://127.0.0.1:{port}") as visit:
            sign_in(visit, issuer)
            expect(visit.page.get_by_role("alert")).to_contain_text("may not use any workspace")
            expect(visit.page.get_by_text("Your subject at the issuer is ada")).to_be_visible()
            visit.page.get_by_role("button", name="Sign out").click()
            expect(visit.page.get_by_label("Key")).to_be_visible()


def test_without_a_client_at_the_issuer_there_is_no_button(browser: Browser) -> None:
    env = {"TIDEGATE_OIDC_ISSUER": "https://issuer.example", "TIDEGATE_OIDC_AUDIENCE": AUDIENCE}
    with serving("--store", "memory", env=env) as (_, port), visiting(browser, f"http://127.0.0.1:{port}") as visit:
        with visit.page.expect_response("**/issuer.json") as answer:
            visit.open()
        assert answer.value.json() is None
        expect(visit.page.get_by_role("button", name="Sign in")).to_have_count(1)
