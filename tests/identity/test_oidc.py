"""Access tokens: what is verified, and what is refused, each with its own message and never with its content."""

import asyncio
import hmac
import json
import logging
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.identity.issuing import (
    AUDIENCE,
    HASHES,
    RSA_KEY,
    URL,
    IssuerSite,
    base64,
    claims,
    number,
    public_ec,
    public_rsa,
    signature,
    signed,
    token,
)
from tests.store_worlds import NOON, Clock
from tidegate.domain.identity import Identity, OidcIssuer, hash_subject
from tidegate.errors import ExpiredToken, InvalidToken, IssuerUnavailable, TidegateError
from tidegate.identity.key_set import parse_key_set
from tidegate.identity.oidc import OidcAccessTokens
from tidegate.transport.httpx import HttpxTransport

SOMEBODY = Identity(hash_subject(URL, "service-1"), NOON + 600)
ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "ES256"]


class Bench:
    """Tokens of an issuer at whose site and clock the test turns."""

    def __init__(self, issuer: OidcIssuer | None = None, **site: Any) -> None:
        self.clock, self.site = Clock(), IssuerSite(**site)
        self.tokens = OidcAccessTokens(
            issuer or OidcIssuer(URL, AUDIENCE), HttpxTransport(httpx.MockTransport(self.site)), self.clock
        )

    async def __call__(self, text: str) -> Identity:
        return await self.tokens.verify(text)

    async def refusal(self, text: str) -> tuple[str | None, str]:
        with pytest.raises(TidegateError) as caught:
            await self(text)
        assert caught.value.status == (503 if isinstance(caught.value, IssuerUnavailable) else 401)
        assert not any(part and part in caught.value.message for part in text.split("."))
        return caught.value.code, caught.value.message


async def refused(text: str, **site: Any) -> tuple[str | None, str]:
    return await Bench(**site).refusal(text)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
async def test_a_token_of_the_issuer_is_verified(algorithm: str) -> None:
    assert await Bench()(token(algorithm)) == SOMEBODY


@pytest.mark.parametrize("algorithm", ALGORITHMS)
async def test_no_bit_of_a_token_may_change(algorithm: str) -> None:
    made, good = Bench(), token(algorithm)
    await made(good)
    head, body, last = good.split(".")
    wrong = {"invalid_token", "expired_token"}
    for at in range(0, len(body), 7):
        other = "A" if body[at] != "A" else "B"
        assert (await made.refusal(f"{head}.{body[:at]}{other}{body[at + 1 :]}.{last}"))[0] in wrong
    other = "A" if last[10] != "A" else "B"
    spoilt = f"{head}.{body}.{last[:10]}{other}{last[11:]}"
    assert await made.refusal(spoilt) == ("invalid_token", "The access token's signature is wrong.")


async def test_signatures_of_other_keys_are_wrong() -> None:
    stranger = generate_private_key(65537, 2048)
    text = signed(
        {"alg": "RS256", "kid": "rsa"}, claims(), lambda m: stranger.sign(m, padding.PKCS1v15(), HASHES["256"])
    )
    assert await refused(text) == ("invalid_token", "The access token's signature is wrong.")


async def test_random_tokens_are_refused() -> None:
    made = Bench()
    loop = asyncio.get_running_loop()
    texts: list[str] = []

    @settings(max_examples=60, deadline=None)
    @given(st.lists(st.text("ABCabc019-_=+/ é", max_size=40), min_size=1, max_size=4))
    def draw(parts: list[str]) -> None:
        texts.append(".".join(parts))

    await loop.run_in_executor(None, draw)
    for text in texts:
        assert (await refused_only(made, text)) == "invalid_token"


async def refused_only(made: Bench, text: str) -> str | None:
    with pytest.raises(InvalidToken) as caught:
        await made(text)
    return caught.value.code


FOUR = "RS256, RS384, RS512, PS256, ES256"


@pytest.mark.parametrize(
    "algorithm", ["none", "None", "", "HS256", "HS512", "RS1", "PS384", "ES256K", "EdDSA", 5, None]
)
async def test_no_other_algorithm_is_taken(algorithm: Any) -> None:
    text = signed({"alg": algorithm, "kid": "rsa"}, claims(), lambda m: signature("RS256", m))
    assert await refused(text) == ("invalid_token", f"The access token must be signed with one of {FOUR}.")


async def test_a_public_key_is_no_shared_secret() -> None:
    pem = RSA_KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    for secret in (pem, pem.strip(), json.dumps(public_rsa()).encode()):
        text = signed({"alg": "HS256", "kid": "rsa"}, claims(), lambda m, s=secret: hmac.digest(s, m, "sha256"))
        assert (await refused(text))[1] == f"The access token must be signed with one of {FOUR}."


@pytest.mark.parametrize(
    ("algorithm", "kid"), [("RS256", "ec"), ("ES256", "rsa"), ("PS256", "only-rs"), ("RS256", "unknown"), ("RS256", "")]
)
async def test_a_key_signs_only_with_its_own_algorithm(algorithm: str, kid: str) -> None:
    keys = {"keys": [public_rsa(), public_ec(), public_rsa(kid="only-rs", alg="RS256")]}
    message = "The access token is signed with a key that its issuer does not publish."
    assert await refused(token(algorithm, {"kid": kid}), keys=keys) == ("invalid_token", message)


async def test_a_token_without_a_key_id_is_tried_with_all_that_fit() -> None:
    other = public_rsa(generate_private_key(65537, 2048), kid="other")
    made = Bench(keys={"keys": [public_ec(), other, public_rsa()]})
    assert await made(token(head={"kid": None})) == SOMEBODY


async def test_two_keys_of_the_same_id_are_both_tried() -> None:
    other = public_rsa(generate_private_key(65537, 2048))
    for keys in ([other, public_rsa()], [public_rsa(), other], [public_ec(kid="rsa"), public_rsa()]):
        assert await Bench(keys={"keys": keys})(token()) == SOMEBODY


async def test_keys_that_a_token_brings_along_are_not_used() -> None:
    stranger = generate_private_key(65537, 2048)
    head = {"alg": "RS256", "kid": "rsa", "jwk": public_rsa(stranger), "jku": "https://evil.example/keys"}
    made = Bench()
    text = signed(head, claims(), lambda m: stranger.sign(m, padding.PKCS1v15(), HASHES["256"]))
    assert (await made.refusal(text))[1] == "The access token's signature is wrong."
    assert made.site.asked == ["/.well-known/openid-configuration", "/keys"]


MALFORMED = ("invalid_token", "The access token is malformed.")


def parts() -> tuple[str, str, str]:
    head, body, last = token().split(".")
    return head, body, last


@pytest.mark.parametrize(
    "text",
    [
        "..",
        ".".join(("", *parts()[1:])),
        ".".join((parts()[0], "", parts()[2])),
        ".".join((*parts()[:2], "")),
        ".".join((*parts(), "AAAA")),
        ".".join(parts()[:2]),
        ".".join((parts()[0] + "=", *parts()[1:])),
        ".".join((parts()[0] + "\n", *parts()[1:])),
        ".".join((*parts()[:2], "é" + parts()[2])),
        ".".join((*parts()[:2], "AAAAA")),
        signed(b"\xff\xfe", claims(), lambda m: signature("RS256", m)),
        signed([], claims(), lambda m: signature("RS256", m)),
        signed({"alg": "RS256", "kid": "rsa"}, "claims", lambda m: signature("RS256", m)),
        signed({"alg": "RS256", "kid": 5}, claims(), lambda m: signature("RS256", m)),
        signed(b'{"alg": "RS256", "kid": "rsa", "alg": "none"}', claims(), lambda m: signature("RS256", m)),
        signed(b'{"alg": "RS256"} {}', claims(), lambda m: signature("RS256", m)),
        signed({"alg": "RS256"}, b'{"sub": "a", "sub": "b"}', lambda m: signature("RS256", m)),
        signed({"alg": "RS256"}, b'{"aud": {"a": 1, "a": 2}}', lambda m: signature("RS256", m)),
        signed({"alg": "RS256"}, b'{"exp": NaN}', lambda m: signature("RS256", m)),
        signed({"alg": "RS256"}, b'{"exp": ' + b"9" * 5000 + b"}", lambda m: signature("RS256", m)),
        signed({"alg": "RS256"}, b"[" * 10_000, lambda m: signature("RS256", m)),
    ],
)
async def test_what_is_malformed_is_said_to_be(text: str) -> None:
    assert await refused(text) == MALFORMED


async def test_a_token_has_a_length() -> None:
    long = token(sub="s" * 20_000)
    assert await refused(long) == ("invalid_token", "The access token is longer than 16384 characters.")


@pytest.mark.parametrize("kind", ["at+jwt", "JWT", "jwt", "AT+JWT", "application/at+jwt", None])
async def test_types_of_access_tokens_are_taken(kind: str | None) -> None:
    assert await Bench()(token(head={"typ": kind})) == SOMEBODY


@pytest.mark.parametrize("kind", ["dpop+jwt", "logout+jwt", "", 5, ["JWT"]])
async def test_other_types_are_not(kind: Any) -> None:
    message = "The token is not an access token: its type must be at+jwt or JWT."
    assert await refused(token(head={"typ": kind})) == ("invalid_token", message)


async def test_extensions_are_not_known() -> None:
    message = "The access token requires an extension that this gateway does not support."
    assert await refused(token(head={"crit": ["b64"], "b64": False})) == ("invalid_token", message)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"iss": "https://other.example"}, "The access token is from another issuer."),
        ({"iss": f"{URL}/"}, "The access token is from another issuer."),
        ({"iss": None}, "The access token is from another issuer."),
        ({"iss": [URL]}, "The access token is from another issuer."),
        ({"aud": "other"}, "The access token is for another audience."),
        ({"aud": "tidegate-2"}, "The access token is for another audience."),
        ({"aud": ["a", "b"]}, "The access token is for another audience."),
        ({"aud": []}, "The access token is for another audience."),
        ({"aud": None}, "The access token is for another audience."),
        ({"aud": {"tidegate": True}}, "The access token is for another audience."),
        ({"exp": None}, "The access token has no expiry: the claim exp is missing."),
        ({"exp": "soon"}, "The claim exp of the access token is not a timestamp in seconds."),
        ({"exp": True}, "The claim exp of the access token is not a timestamp in seconds."),
        ({"exp": -1}, "The claim exp of the access token is not a timestamp in seconds."),
        ({"exp": 1e300}, "The claim exp of the access token is not a timestamp in seconds."),
        ({"nbf": "x"}, "The claim nbf of the access token is not a timestamp in seconds."),
        ({"iat": []}, "The claim iat of the access token is not a timestamp in seconds."),
        ({"nbf": NOON + 61}, "The access token is not valid yet: is the issuer's clock right?"),
        ({"iat": NOON + 61}, "The access token is not valid yet: is the issuer's clock right?"),
        ({"sub": None}, "The access token must have a subject of 1 to 255 characters."),
        ({"sub": ""}, "The access token must have a subject of 1 to 255 characters."),
        ({"sub": 7}, "The access token must have a subject of 1 to 255 characters."),
        ({"sub": "s" * 256}, "The access token must have a subject of 1 to 255 characters."),
    ],
)
async def test_each_claim_that_is_wrong_is_named(changed: dict[str, Any], message: str) -> None:
    made = Bench()
    assert await made.refusal(token(**changed)) == ("invalid_token", message)
    assert made.site.asked == []


async def test_an_expired_token_has_a_code_of_its_own() -> None:
    made = Bench()
    text = token(exp=NOON)
    assert await made(text) == Identity(SOMEBODY.subject_hash, NOON)
    made.clock.now += 59.9
    await made(text)
    made.clock.now += 0.1
    assert await made.refusal(text) == ("expired_token", "The access token has expired: get a new one.")
    with pytest.raises(ExpiredToken):
        await made(text)


@pytest.mark.parametrize("changed", [{"nbf": NOON + 60}, {"iat": NOON + 60}, {"iat": None}, {"aud": ["x", AUDIENCE]}])
async def test_clocks_may_be_a_minute_apart_and_audiences_several(changed: dict[str, Any]) -> None:
    assert await Bench()(token(**changed)) == SOMEBODY


async def test_subjects_are_known_by_a_hash_that_no_other_pair_has() -> None:
    assert len({hash_subject("https://a", "bc"), hash_subject("https://ab", "c"), hash_subject("https://a", "BC")}) == 3
    assert await Bench()(token(sub="\ud800")) == Identity(hash_subject(URL, "\ud800"), NOON + 600)


BY_CLAIM = OidcIssuer(URL, AUDIENCE, workspaces_claim="workspaces")


@pytest.mark.parametrize(
    ("claimed", "ids"), [("ws_a", ("ws_a",)), (["ws_a", "ws_b", "ws_a"], ("ws_a", "ws_b")), ([], ()), (None, ())]
)
async def test_a_claim_names_the_workspaces(claimed: Any, ids: tuple[str, ...]) -> None:
    assert (await Bench(BY_CLAIM)(token(workspaces=claimed))).workspace_ids == ids


@pytest.mark.parametrize("claimed", [5, [5], ["ws_a", None], {"ws_a": 1}, "", "w" * 129, "a\nb", "\ud800", ["w"] * 101])
async def test_a_claim_that_names_none_is_refused(claimed: Any) -> None:
    message = "The claim workspaces must be a workspace id, or a list of at most 100 ids."
    assert await Bench(BY_CLAIM).refusal(token(workspaces=claimed)) == ("invalid_token", message)


async def test_keys_are_asked_for_once_in_an_hour() -> None:
    made = Bench()
    for _ in range(3):
        await made(token())
    assert made.site.asked == ["/.well-known/openid-configuration", "/keys"]
    made.clock.now += 3600
    await made(token(exp=NOON + 9000))
    assert made.site.asked == ["/.well-known/openid-configuration", "/keys", "/keys"]


async def test_a_configured_address_needs_no_discovery() -> None:
    made = Bench(OidcIssuer(URL, AUDIENCE, jwks_url=f"{URL}/elsewhere"))
    await made(token())
    assert made.site.asked == ["/elsewhere"]


async def test_callers_at_the_same_time_share_one_question() -> None:
    made = Bench()
    assert await asyncio.gather(*(made(token()) for _ in range(20))) == [SOMEBODY] * 20
    assert len(made.site.asked) == 2


async def test_a_new_key_is_found_after_a_minute_at_the_latest() -> None:
    made = Bench(keys={"keys": [public_rsa(kid="old")]})
    await made(token(head={"kid": "old"}))
    made.site.keys = {"keys": [public_rsa(kid="new")]}
    unpublished = "The access token is signed with a key that its issuer does not publish."
    for _ in range(5):
        assert (await made.refusal(token(head={"kid": "new"})))[1] == unpublished
    made.clock.now += 60
    assert await made(token(head={"kid": "new"})) == SOMEBODY
    assert made.site.asked == ["/.well-known/openid-configuration", "/keys", "/keys"]
    assert (await made.refusal(token(head={"kid": "old"})))[1] == unpublished


async def test_keys_outlive_their_issuer_for_a_day() -> None:
    made = Bench()
    later = token(exp=NOON + 200_000)
    await made(later)
    made.site.down = 500
    made.clock.now += 86_399
    assert await made(later) == Identity(SOMEBODY.subject_hash, NOON + 200_000)
    for _ in range(3):
        await made(later)
    assert len(made.site.asked) == 3
    made.clock.now += 60
    assert (await made.refusal(later))[0] == "issuer_unavailable"


async def test_a_clock_that_is_set_back_keeps_no_keys_for_longer() -> None:
    made = Bench()
    await made(token())
    made.site.down = 500
    made.clock.now -= 90_000
    assert (await made.refusal(token(iat=None)))[0] == "issuer_unavailable"


DEAD: list[dict[str, Any]] = [
    {"down": 500},
    {"down": 404},
    {"down": 302},
    {"down": httpx.ConnectError("refused")},
    {"down": httpx.ReadTimeout("slow")},
    {"configuration": b"<html>"},
    {"configuration": []},
    {"configuration": {"issuer": "https://other.example", "jwks_uri": f"{URL}/keys"}},
    {"configuration": {"issuer": URL, "jwks_uri": "http://issuer.example/keys"}},
    {"configuration": {"issuer": URL, "jwks_uri": "file:///etc/passwd"}},
    {"configuration": {"issuer": URL}},
    {"keys": b"x" * 300_000},
    {"keys": b"\xff"},
    {"keys": {}},
    {"keys": {"keys": []}},
    {"keys": {"keys": ["x", {}, {"kty": "oct", "k": "AAAA", "kid": "rsa"}]}},
]


@pytest.mark.parametrize("site", DEAD)
async def test_an_issuer_that_does_not_tell_its_keys_lets_nobody_in(site: dict[str, Any]) -> None:
    made = Bench(**site)
    message = "The issuer of the access tokens does not answer; try again in a moment."
    assert await made.refusal(token()) == ("issuer_unavailable", message)
    asked = len(made.site.asked)
    assert (await made.refusal(token()))[0] == "issuer_unavailable"
    assert len(made.site.asked) == asked
    made.clock.now += 5
    made.site.down, made.site.configuration, made.site.keys = None, None, IssuerSite().keys
    assert await made(token()) == SOMEBODY


async def test_one_who_hangs_up_leaves_the_question_to_the_next() -> None:
    made = Bench()
    first = asyncio.create_task(made(token()))
    await asyncio.sleep(0)
    first.cancel()
    assert await made(token()) == SOMEBODY


async def test_no_token_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    made = Bench(down=500)
    text = token()
    await made.refusal(text)
    said = [record for record in caplog.records if record.name.startswith("tidegate")]
    assert [(record.message, record.__dict__["error"]) for record in said] == [("oidc.failed", "ValueError")]
    assert not any(part in str(record.__dict__) for record in said for part in text.split("."))


def test_keys_that_are_weak_odd_or_for_something_else_are_left_out() -> None:
    n = RSA_KEY.public_key().public_numbers().n
    small = generate_private_key(65537, 1024)
    p384 = ec.generate_private_key(ec.SECP384R1()).public_key().public_numbers()
    bad: list[Any] = [
        public_rsa(small),
        public_rsa(e=number(1)),
        public_rsa(e=number(2)),
        public_rsa(e=base64(b"\x00")),
        public_rsa(e=number(2**33 + 1)),
        public_rsa(n=number(n + 1)),
        public_rsa(n=number((1 << 8200) + 1)),
        public_rsa(n="not base64!"),
        public_rsa(n=5),
        public_rsa(n=number(n) + "="),
        public_rsa(use="enc"),
        public_rsa(alg="RSA-OAEP"),
        public_rsa(alg="HS256"),
        public_rsa(alg=["RS256"]),
        public_rsa(key_ops=["encrypt"]),
        public_rsa(key_ops="verify"),
        public_ec(crv="P-384", x=number(p384.x, 48), y=number(p384.y, 48)),
        public_ec(x=number(1, 32)),
        public_ec(y=number(5, 33)),
        public_ec(x=base64(b"\x01" * 31)),
        {"kty": "oct", "k": "AAAA"},
        {"kty": "OKP", "crv": "Ed25519", "x": "AAAA"},
        None,
    ]
    for each in bad:
        with pytest.raises(ValueError, match="no key for a supported signature algorithm"):
            parse_key_set({"keys": [each]})
    good = parse_key_set({"keys": [*bad, public_rsa(kid=7, alg="PS256"), public_ec(key_ops=["verify"])]})
    assert [(key.id, key.algorithm) for key in good] == [(None, "PS256"), ("ec", None)]


def test_a_modulus_may_begin_with_zeros() -> None:
    n = RSA_KEY.public_key().public_numbers().n
    padded = parse_key_set({"keys": [public_rsa(n=base64(b"\x00" + n.to_bytes(256)))]})
    assert padded == parse_key_set({"keys": [public_rsa()]})
