"""The demo tenant's keys, and what the banner says of them."""

import re

import pytest

from tidegate.errors import ConfigurationError
from tidegate.local.banner import banner
from tidegate.local.demo_keys import DemoKeys, choose_demo_keys
from tidegate.local.stores import local_settings, open_in_memory


def test_each_start_has_keys_of_its_own() -> None:
    first, second = choose_demo_keys({}), choose_demo_keys({})
    assert re.fullmatch(r"sk-tidegate-[\w-]{43}", first.key)
    assert re.fullmatch(r"sk-tidegate-admin-[\w-]{43}", first.admin_key)
    assert len({first.key, first.admin_key, second.key, second.admin_key}) == 4
    assert first.key not in repr(first)


def test_the_environment_and_the_command_line_can_set_them() -> None:
    env = {"TIDEGATE_DEMO_KEY": "one", "TIDEGATE_DEMO_ADMIN_KEY": "two"}
    keys = choose_demo_keys(env)
    assert (keys.key, keys.admin_key) == ("one", "two")
    assert choose_demo_keys(env, "three").key == "three"


@pytest.mark.parametrize("key", ["a b", "a\nb", "schl\u00fcssel"])
def test_a_key_that_no_header_can_hold_is_refused(key: str) -> None:
    with pytest.raises(ConfigurationError, match="TIDEGATE_DEMO_KEY"):
        choose_demo_keys({}, key)


async def banner_at(host: str, keys: DemoKeys | None) -> str:
    async with open_in_memory(local_settings({}, None), keys or DemoKeys("one", "two")) as planes:
        return banner(host, 8000, "memory" if keys else "aws", [], planes.gateway, keys)


async def test_the_banner_has_the_keys_and_a_request_to_paste() -> None:
    said = await banner_at("127.0.0.1", DemoKeys("sk-one", "sk-two"))
    assert "export KEY=sk-one" in said
    assert "sk-two" in said and "dashboard  http://127.0.0.1:8000 " in said
    assert "curl -N http://127.0.0.1:8000/v1/chat/completions -H 'Authorization: Bearer sk-one'" in said
    assert "WARNING" not in said


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
@pytest.mark.parametrize("keys", [DemoKeys("sk-one", "sk-two"), None])
async def test_the_banner_warns_if_other_machines_can_reach_the_server(host: str, keys: DemoKeys | None) -> None:
    said = await banner_at(host, keys)
    assert "WARNING: other machines can reach this server" in said
    assert "http://127.0.0.1:8000/v1" in said
