"""One OpenAI-compatible provider as a row of a table."""

from dataclasses import dataclass, field

from tidegate.providers.base import Auth, KeyAuth
from tidegate.providers.dialect.quirks import Quirks


@dataclass(frozen=True, slots=True)
class Row:
    """`base_url` has the official SDK's meaning (`/chat/completions` is appended); None: the operator must set it.

    `key` is the name of the setting that holds the key, None where none is needed.
    """

    name: str
    base_url: str | None
    key: str | None
    quirks: Quirks = field(default_factory=Quirks)
    auth: Auth = field(default_factory=KeyAuth)
