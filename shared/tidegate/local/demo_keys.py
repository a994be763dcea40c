"""The keys of the demo tenant: new ones for each start, unless the environment sets them."""

from collections.abc import Mapping

from msgspec import Struct

from tidegate.control.authorization import ADMIN_SECRET_PREFIX
from tidegate.domain.keys import SECRET_PREFIX, create_secret
from tidegate.domain.redacted import Redacted
from tidegate.errors import ConfigurationError

KEY_SETTING, ADMIN_KEY_SETTING = "TIDEGATE_DEMO_KEY", "TIDEGATE_DEMO_ADMIN_KEY"


class DemoKeys(Redacted, Struct, frozen=True):
    """The virtual key of the workspace ws_demo, and the admin key of the whole gateway."""

    key: str
    admin_key: str


def choose_demo_keys(env: Mapping[str, str], key: str | None = None) -> DemoKeys:
    """Return `key` or that of the environment, else random ones. Raises `ConfigurationError`.

    A key that everybody knows would open the local server to every web page and program that can reach it.
    """
    admin_key = env.get(ADMIN_KEY_SETTING) or ADMIN_SECRET_PREFIX + create_secret().removeprefix(SECRET_PREFIX)
    keys = DemoKeys(key or env.get(KEY_SETTING) or create_secret(), admin_key)
    for setting, value in ((KEY_SETTING, keys.key), (ADMIN_KEY_SETTING, keys.admin_key)):
        if not value.isascii() or not value.isprintable() or " " in value:
            raise ConfigurationError(f"{setting} must be printable ASCII without spaces.")
    return keys
