"""One OpenAI-compatible provider as a row of a table."""

from msgspec import Struct, field

from tidegate.catalog.row import DeclaredModel
from tidegate.providers.base import Auth, KeyAuth
from tidegate.providers.openai.quirks import Quirks


class Row(Struct, frozen=True):
    """One OpenAI-compatible provider. `/chat/completions` is appended to `base_url`; None: the operator must set it.

    `key` is the name of the setting that holds the key, "" for the default `<NAME>_API_KEY`. None: the provider needs
    no key, and gets one only if the default setting holds one. `models` are those that the operator declares. With
    `only_models`, the row adds them to the built-in provider of that name, and says nothing else about it.
    `chats` is False for a provider that has other operations only.
    """

    name: str
    base_url: str | None
    quirks: Quirks = field(default_factory=Quirks)
    key: str | None = ""
    auth: Auth = field(default_factory=KeyAuth)
    models: tuple[DeclaredModel, ...] = ()
    only_models: bool = False
    chats: bool = True

    @property
    def key_setting(self) -> str | None:
        return setting_name(self.name, "API_KEY") if self.key == "" else self.key


def setting_name(name: str, suffix: str) -> str:
    """Return the name of a provider's setting: "my-host" and "API_KEY" give "MY_HOST_API_KEY"."""
    return f"{name}_{suffix}".upper().replace("-", "_").replace(".", "_")
