"""The plain spelling of a model's name, in which prices are looked up and allowed models are compared.

A provider reads several spellings as one model: Google takes `models/gemini-2.5-pro` for `gemini-2.5-pro`. Loaded only
for names that may have another spelling.

Sources, read in 2026-11: https://ai.google.dev/api/models (`models/`),
https://docs.cloud.google.com/vertex-ai/docs/reference/rest/v1/projects.locations.publishers.models (`publishers/`),
https://docs.fireworks.ai/api-reference/post-chatcompletions (`accounts/fireworks/models/`).
"""

import re
import unicodedata
from functools import lru_cache
from urllib.parse import unquote

_FOLDERS = {
    "gemini": re.compile(r"(?:models/)+"),
    "vertex": re.compile(r"(?:projects/[^/]+/)?(?:locations/[^/]+/)?(?:publishers/[^/]+/)?(?:models/)+"),
    "fireworks": re.compile(r"(?:accounts/fireworks/models/)+"),
}
"""The folders that a provider reads as a part of the address, and not of the model's name."""

_USUAL_TEXT = re.compile(r"[!-$&-~]*")
"""Visible ASCII characters without the percent sign."""

_MAX_DECODINGS = 3


@lru_cache(maxsize=1024)
def plain_model_id(model_id: str) -> str:
    """Return `provider/model` in lower case, without folders, invisible characters and a repeated provider."""
    text = model_id if _USUAL_TEXT.fullmatch(model_id) else _usual_text(model_id)
    provider, slash, name = "/".join(filter(None, text.lower().split("/"))).partition("/")
    name = without_folder(provider, name)
    while name.startswith(f"{provider}/"):
        name = without_folder(provider, name[len(provider) + 1 :])
    return f"{provider}{slash}{name}"


def without_folder(provider: str, name: str) -> str:
    """Return the name without the folders that the provider reads as a part of the address."""
    folder = _FOLDERS.get(provider)
    found = folder.match(name) if folder else None
    return name[found.end() :] if found else name


def _usual_text(text: str) -> str:
    """Return the text with %2F and the like decoded, full-width letters made plain, and without white space."""
    for _ in range(_MAX_DECODINGS):
        text = unquote(text)
    folded = unicodedata.normalize("NFKC", text)
    categories = ((letter, unicodedata.category(letter)) for letter in folded)
    return "".join("-" if kind == "Pd" else letter for letter, kind in categories if kind[0] not in "CZ")
