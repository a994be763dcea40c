import re

from tidegate.domain.keys import create_key_id, create_secret, create_workspace_id, display_prefix, hash_secret


def test_a_secret_has_its_prefix_and_256_bits() -> None:
    secret = create_secret()
    assert re.fullmatch(r"sk-tidegate-[A-Za-z0-9_-]{43}", secret)
    assert create_secret() != secret


def test_a_prefix_shows_four_characters_of_the_secret() -> None:
    assert display_prefix("sk-tidegate-abcdefgh") == "sk-tidegate-abcd"


def test_a_hash_is_the_sha256_of_the_secret() -> None:
    assert hash_secret("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_whatever_a_header_holds_has_a_hash() -> None:
    assert len(hash_secret("\udcff")) == 64


def test_ids_say_what_they_are_of() -> None:
    assert re.fullmatch(r"key_[0-9a-f]{16}", create_key_id())
    assert re.fullmatch(r"ws_[0-9a-f]{16}", create_workspace_id())
