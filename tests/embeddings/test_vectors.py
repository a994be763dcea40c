"""Vectors as numbers and in base64, as OpenAI's SDKs read them."""

import base64
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.embeddings.vectors import as_encoding

FLOATS = st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1, max_size=64)


@given(FLOATS)
def test_base64_is_read_back_as_32_bit_floats(numbers: list[float]) -> None:
    encoded = as_encoding([*numbers], "base64")
    assert isinstance(encoded, str)
    assert list(struct.unpack(f"<{len(numbers)}f", base64.b64decode(encoded))) == numbers
    assert as_encoding(encoded, "float") == numbers
    assert as_encoding(encoded, "base64") == encoded
    assert as_encoding([*numbers], "float") == numbers


@pytest.mark.parametrize("vector", [None, [], ["a"], [True], {}, 5, [1.0, None], "%%%%", "AAA=", ""])
@pytest.mark.parametrize("encoding", ["float", "base64"])
def test_what_is_not_a_vector_is_refused(vector: Any, encoding: str) -> None:
    if isinstance(vector, str) and encoding == "base64":
        pytest.skip("the caller reads what the provider has encoded")
    with pytest.raises(ValueError, match=r"it is not|its bytes"):
        as_encoding(vector, encoding)


def test_a_number_beyond_32_bits_is_refused() -> None:
    with pytest.raises(ValueError, match="beyond 32 bits"):
        as_encoding([1e300], "base64")
