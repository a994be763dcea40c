"""The sockets that servers listen on."""

import errno
import socket
import sys

from tidegate.errors import ConfigurationError


def listen(host: str, port: int, option: str = "--port") -> socket.socket:
    """Open a listening socket. Raises `ConfigurationError` if the address is in use or not available.

    `option` of the command line chooses another port.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(128)
    except (OSError, OverflowError) as error:
        listener.close()
        reason = getattr(error, "strerror", None) or error
        hint = f" Choose another port with {option}." if getattr(error, "errno", None) == errno.EADDRINUSE else ""
        raise ConfigurationError(f"Cannot listen on {host}:{port}: {reason}.{hint}") from None
    return listener


def listen_for_each(host: str, port: int, count: int) -> list[socket.socket]:
    """Open a listening socket at one address for each of `count` processes. Raises `ConfigurationError`.

    Linux deals connections out among the sockets. Elsewhere, the processes share one.
    """
    first = listen(host, port)
    if count == 1 or sys.platform != "linux":
        return [first, *(first.dup() for _ in range(count - 1))]
    with first:  # without the option, no other server can have the port
        address, family = first.getsockname(), first.family
    listeners: list[socket.socket] = []
    for _ in range(count):
        listener = socket.socket(family, socket.SOCK_STREAM)
        listeners.append(listener)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind(address)
        listener.listen(128)
    return listeners
