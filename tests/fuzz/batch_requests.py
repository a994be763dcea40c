"""Requests about files, uploads and batches, most of them nearly valid."""

from typing import Any

from hypothesis import strategies as st

from tests.api.batch_app import FORM, form
from tests.batch.world import PATH, jsonl, requests
from tests.fuzz.mutations import as_json, mutated, mutated_bytes, rarely
from tests.fuzz.requests import Sent
from tests.world import SECRET
from tidegate.api.batch_routes import ROUTES
from tidegate.api.routes import BATCH_PREFIXES

KNOWN_IDS = {"files": "KNOWN_FILE", "uploads": "KNOWN_UPLOAD", "batches": "KNOWN_BATCH"}
"""Texts that stand for the ids of what exists; they are replaced when the request is sent."""

KNOWN_PART = "KNOWN_PART"

_FILE = ("in.jsonl", jsonl(requests(2)))
_POLICY = {"anchor": "created_at", "seconds": 3600}
_JSON_BODIES: dict[str, Any] = {
    "/files": {"filename": "a", "bytes": 5, "purpose": "batch", "expires_after": _POLICY},
    "/uploads": {"filename": "a", "bytes": 5, "mime_type": "a/b", "purpose": "batch", "expires_after": _POLICY},
    "/uploads/{id}/complete": {"part_ids": [KNOWN_PART], "md5": "0" * 32},
    "/batches": {
        "input_file_id": KNOWN_IDS["files"],
        "endpoint": PATH,
        "completion_window": "24h",
        "metadata": {"a": "b", "tidegate_mode": "calls"},
        "output_expires_after": _POLICY,
    },
}
_FORMS: dict[str, dict[str, Any]] = {
    "/files": {
        "purpose": "batch",
        "expires_after[anchor]": "created_at",
        "expires_after[seconds]": "3600",
        "file": _FILE,
    },
    "/uploads/{id}/parts": {"data": _FILE},
}
_QUERIES = ["", "?limit=5", "?limit=-1", "?after=KNOWN_FILE", "?order=asc&purpose=batch", "?limit=é&after=%00", "?x=1"]
_RANGES = ["bytes=0-5", "bytes=-1", "bytes=9999999999999999-", "bytes=5-2", "lines=1", "bytes=0-1,3-4"]


@st.composite
def batch_requests(draw: st.DrawFn) -> Sent:
    """A request about files, uploads or batches."""
    method, path = draw(st.sampled_from(sorted(ROUTES))).split(" ")
    headers = {"authorization": f"Bearer {SECRET}", "content-type": "application/json"}
    body = b""
    if path in _FORMS and draw(st.booleans()):
        headers["content-type"] = (
            draw(st.sampled_from(["multipart/form-data", "", f"{FORM}; x"])) if draw(rarely) else FORM
        )
        fields = draw(st.permutations(sorted(_FORMS[path].items())))
        body = draw(mutated_bytes(form(dict(fields))))
    elif path in _JSON_BODIES:
        body = draw(mutated_bytes(as_json(draw(mutated(_JSON_BODIES[path])))))
    if draw(rarely):
        method = draw(st.sampled_from(["GET", "POST", "DELETE", "PUT", "HEAD", "OPTIONS"]))
    if path.endswith("/content") and draw(st.booleans()):
        headers["range"] = draw(st.sampled_from(_RANGES))
    identifier = KNOWN_IDS[path.split("/")[1]]
    if draw(rarely):
        identifier = draw(st.one_of(st.sampled_from(["file-x", "..", "é", "a" * 5_000, "\x00"]), st.text(max_size=9)))
    prefix, query = draw(st.sampled_from(BATCH_PREFIXES)), draw(st.sampled_from(_QUERIES)) if method == "GET" else ""
    return Sent(method, prefix + path.replace("{id}", identifier) + query, headers, body)
