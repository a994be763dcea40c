"""The data folder of a server on this machine: where it is, what is in it, and which server uses it.

| file | what |
|---|---|
| `tidegate.db`, `-wal`, `-shm` | the table, in SQLite |
| `objects/` | replies, traces and responses too large for the table; files of workspaces, and what belongs to batches |
| `server.json` | the server that was started last, for the command line |
| `demo_keys.json` | the keys of the demo tenant |

The folder is this user's alone: it holds provider credentials of workspaces.
"""

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import msgspec
from msgspec import Struct

from tidegate.errors import ConfigurationError

DATA_VARIABLE = "TIDEGATE_DATA"
DEMO_KEYS_FILE = "demo_keys.json"


class RunningServer(Struct, frozen=True):
    """The server that was started last: its `--store`, and its table at DynamoDB, if it has one there."""

    pid: int
    url: str
    store: str
    table: str | None = None
    region: str | None = None
    endpoint: str | None = None


class DataFolder(Struct, frozen=True):
    """A data folder, which need not exist yet."""

    path: Path

    @property
    def database(self) -> Path:
        return self.path / "tidegate.db"

    @property
    def objects(self) -> Path:
        return self.path / "objects"

    @property
    def server_file(self) -> Path:
        return self.path / "server.json"

    def create(self) -> None:
        """Create the folder unless it exists. Raises `ConfigurationError`."""
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigurationError(
                f"Cannot create the data folder {self.path}: {error.strerror}. Name another one with --data."
            ) from None

    def write_file(self, name: str, content: bytes) -> None:
        """Write a file of the folder in one piece, for this user alone. Raises `ConfigurationError`."""
        self.create()
        temporary = self.path / f"{name}.{os.getpid()}.new"
        try:
            with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                file.write(content)
            temporary.replace(self.path / name)
        except OSError as error:
            raise ConfigurationError(f"Cannot write {temporary}: {error.strerror}.") from None

    def write_server(self, server: RunningServer) -> None:
        """Record the server; a record of another one is replaced. Raises `ConfigurationError`."""
        self.write_file(self.server_file.name, msgspec.json.encode(server))

    def forget_server(self, pid: int) -> None:
        """Remove the record of the server of that process, and the folder if it is empty then."""
        server = self._recorded_server()
        if server is not None and server.pid == pid:
            with suppress(OSError):
                self.server_file.unlink(missing_ok=True)
                self.path.rmdir()

    def running_server(self) -> RunningServer | None:
        """The recorded server, None if its process has ended."""
        server = self._recorded_server()
        return server if server is not None and _is_running(server.pid) else None

    def demo_key(self) -> str | None:
        """The demo workspace's key, None if the folder has no demo tenant."""
        try:
            return str(msgspec.json.decode((self.path / DEMO_KEYS_FILE).read_bytes(), type=dict[str, str])["key"])
        except (OSError, msgspec.DecodeError, KeyError):
            return None

    def _recorded_server(self) -> RunningServer | None:
        try:
            return msgspec.json.decode(self.server_file.read_bytes(), type=RunningServer)
        except (OSError, msgspec.DecodeError):
            return None


def find_data_folder(option: str | None, env: Mapping[str, str]) -> DataFolder:
    """The folder of the option, of the environment, or else this user's own."""
    path = option or env.get(DATA_VARIABLE)
    if path:
        return DataFolder(Path(path).expanduser().absolute())
    home = env.get("XDG_DATA_HOME") or Path(env.get("HOME") or "~").expanduser() / ".local" / "share"
    return DataFolder(Path(home) / "tidegate")


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # it is another user's
        return True
    return True
