"""Writes a client's file of settings: nothing that is there already gets lost, and only its owner may read it."""

from pathlib import Path

import msgspec

from tidegate.cli.client_settings import ClientSettings
from tidegate.errors import ConfigurationError
from tidegate.json import Json, decode


def write_settings(path: Path, settings: ClientSettings) -> None:
    """Create the file, or add the settings to it; the file before is kept beside it as `.bak`.

    Raises `ConfigurationError` if it cannot be read or written, or has other settings in the same place.
    """
    try:
        path = path.resolve()  # a link stays one
        before = path.read_text("utf-8") if path.exists() else None
        text = settings.text if before is None else _merged(before, path, settings)
        path.parent.mkdir(parents=True, exist_ok=True)
        backup = path.with_name(f"{path.name}.bak")
        if before is not None and not backup.exists():  # the first one is the file without our settings
            _write(backup, before)
        _write(path, text)
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise ConfigurationError(f"{path} cannot be changed: {reason}.") from None


def _merged(before: str, path: Path, settings: ClientSettings) -> str:
    match settings.form:
        case "json":
            try:
                present, added = decode(before or "{}"), decode(settings.text)
            except msgspec.DecodeError:
                raise ConfigurationError(f"{path} is not plain JSON: change it by hand.") from None
            encoded = msgspec.json.encode(_merge(present, added))
            return msgspec.json.format(encoded, indent=2).decode() + "\n"
        case "text":
            raise ConfigurationError(f"{path} exists already: add this by hand:\n\n{settings.text}")


def _merge(present: Json, added: Json) -> Json:
    """Return `present` with the members of `added`, object by object."""
    if not isinstance(present, dict) or not isinstance(added, dict):
        return added
    return {**present, **{name: _merge(present.get(name), value) for name, value in added.items()}}


def _write(path: Path, text: str) -> None:
    """Write the file so that it is whole at every moment: it may hold a key, so that only its owner may read it."""
    draft = path.with_name(f"{path.name}.new")
    draft.unlink(missing_ok=True)
    draft.touch(mode=0o600, exist_ok=False)
    draft.write_text(text, "utf-8")
    draft.replace(path)
