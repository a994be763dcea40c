"""Requests about stored responses and conversations, and calls that go on from them, most of them nearly valid."""

from typing import Any

from hypothesis import strategies as st

from tests.fuzz.dialects import RESPONSE_ITEMS
from tests.fuzz.mutations import as_json, mutated, mutated_bytes, rarely
from tests.fuzz.requests import Sent
from tests.world import SECRET
from tidegate.surfaces.late_dialects import RESPONSE_PREFIXES

KNOWN_RESPONSE, KNOWN_CONVERSATION, KNOWN_ITEM = "KNOWN_RESPONSE", "KNOWN_CONVERSATION", "KNOWN_ITEM"
"""Texts that stand for the ids of what exists; they are replaced when the request is sent."""

_RESPONSE, _CONVERSATION = f"/responses/{KNOWN_RESPONSE}", f"/conversations/{KNOWN_CONVERSATION}"
_ITEMS = {"items": RESPONSE_ITEMS[:4], "metadata": {"a": "b"}}
_REFERENCE = {"type": "item_reference", "id": KNOWN_ITEM}
_CALL: dict[str, Any] = {"model": "mistral/mistral-small-latest", "input": [_REFERENCE, *RESPONSE_ITEMS]}
_BODIES: list[tuple[str, str, Any]] = [
    *(("GET", path, None) for path in (_RESPONSE, f"{_RESPONSE}/input_items", _CONVERSATION, f"{_CONVERSATION}/items")),
    *(("DELETE", path, None) for path in (_RESPONSE, _CONVERSATION, f"{_CONVERSATION}/items/{KNOWN_ITEM}")),
    ("GET", f"{_CONVERSATION}/items/{KNOWN_ITEM}", None),
    ("POST", f"{_RESPONSE}/cancel", {}),
    ("POST", "/conversations", _ITEMS),
    ("POST", _CONVERSATION, {"metadata": {"a": "b"}}),
    ("POST", f"{_CONVERSATION}/items", _ITEMS),
    *(
        ("POST", path, _CALL | state | {"stream": stream})
        for path, stream in (("/responses", False), ("/responses", True), ("/responses/compact", False))
        for state in ({"previous_response_id": KNOWN_RESPONSE}, {"conversation": {"id": KNOWN_CONVERSATION}}, {})
    ),
    ("POST", "/responses/input_tokens", _CALL | {"previous_response_id": KNOWN_RESPONSE}),
]
_QUERIES = ["", "?limit=5", "?limit=-1", f"?after={KNOWN_ITEM}", "?order=asc", "?include[]=é", "?stream=true", "?x=%00"]


@st.composite
def state_requests(draw: st.DrawFn) -> Sent:
    """A request about stored responses and conversations."""
    method, path, value = draw(st.sampled_from(_BODIES))
    body = b"" if value is None else draw(mutated_bytes(as_json(draw(mutated(value)))))
    if draw(rarely):
        method = draw(st.sampled_from(["GET", "POST", "DELETE", "PUT", "HEAD", "OPTIONS"]))
    if draw(rarely):
        odd = draw(st.sampled_from(["resp_x", "..", "é", "a" * 5_000, "\x00", "", "conv_"]) | st.text(max_size=9))
        for name in (KNOWN_RESPONSE, KNOWN_CONVERSATION, KNOWN_ITEM):
            path = path.replace(name, odd)
    query = draw(st.sampled_from(_QUERIES)) if method == "GET" else ""
    headers = {"authorization": f"Bearer {SECRET}", "content-type": "application/json"}
    return Sent(method, draw(st.sampled_from(RESPONSE_PREFIXES)) + path + query, headers, body)
