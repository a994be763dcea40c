import socket
from urllib.request import urlopen

import pytest

from tidegate.errors import ConfigurationError
from tidegate.local.embedded import embedded_aws, listen


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
