"""The socket that a server of this process listens on."""

import errno
import socket

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
