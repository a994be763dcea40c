import socket
from urllib.request import urlopen

import pytest

from tidegate.errors import ConfigurationError
from tidegate.local.embedded import embedded_aws, listen, settings_for
from tidegate.settings import Aws


def test_the_embedded_aws_answers_on_any_free_port() -> None:
    with embedded_aws(0) as endpoint, urlopen(f"{endpoint}/moto-api/", timeout=10) as reply:
        assert reply.status == 200


def test_two_embedded_awses_do_not_share_a_port() -> None:
    with embedded_aws(0) as endpoint:
        port = int(endpoint.rpartition(":")[2])
        with pytest.raises(ConfigurationError) as caught, embedded_aws(port):
            pass
    assert caught.value.message == f"Cannot listen on 127.0.0.1:{port}: Address already in use."


def test_a_socket_accepts_before_anyone_serves_it() -> None:
    with listen("127.0.0.1", 0) as door, socket.create_connection(door.getsockname()[:2], timeout=5):
        with pytest.raises(ConfigurationError):
            listen("127.0.0.1", door.getsockname()[1])


def test_the_table_is_here_and_the_account_of_the_environment_stays_for_bedrock() -> None:
    account = {
        "AWS_REGION": "eu-west-1",
        "AWS_ACCESS_KEY_ID": "mine",
        "TIDEGATE_TABLE": "production",
        "TIDEGATE_PROVIDER_SECRET": "production",
        "AWS_ENDPOINT_URL": "http://elsewhere",
    }
    settings = settings_for(account, "http://127.0.0.1:8001")
    assert (settings.table, settings.provider_secret) == ("tidegate", None)
    assert settings.aws == Aws("us-east-1", "http://127.0.0.1:8001")
    assert (settings.environment["AWS_REGION"], settings.environment["AWS_ACCESS_KEY_ID"]) == ("eu-west-1", "mine")
