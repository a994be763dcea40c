"""cargo-lambda's emulator: a Function URL (payload 2.0) that delivers a streamed response as it comes.

It insists on a Rust project, so it gets an empty one, and a `cargo` that knows only how to describe it.
"""

import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.emulators.process import free_port, function_env, started, tool, until_listening

_MANIFEST = '[package]\nname = "chat"\nversion = "0.1.0"\nedition = "2021"\n'


@dataclass(frozen=True, slots=True)
class CargoLambda:
    url: str
    runtime_api: str


@asynccontextmanager
async def cargo_lambda(scratch: Path) -> AsyncIterator[CargoLambda]:
    """Start the emulator in the empty folder `scratch`; functions connect by themselves."""
    _write_project(scratch)
    port = free_port()
    command = [tool("cargo-lambda"), "lambda", "watch", "--only-lambda-apis"]
    command += ["--invoke-address", "127.0.0.1", "--invoke-port", str(port)]
    variables = function_env(CARGO_TERM_COLOR="never")
    variables |= {"PATH": f"{scratch / 'bin'}{os.pathsep}{variables['PATH']}", "CARGO": str(scratch / "bin" / "cargo")}
    async with started(*command, env=variables, cwd=scratch):
        await until_listening(port)
        yield CargoLambda(f"http://127.0.0.1:{port}", f"127.0.0.1:{port}/.rt")


def _write_project(scratch: Path) -> None:
    (scratch / "src").mkdir()
    (scratch / "bin").mkdir()
    (scratch / "Cargo.toml").write_text(_MANIFEST)
    (scratch / "src" / "main.rs").write_text("fn main() {}\n")
    described = scratch / "metadata.json"
    described.write_text(json.dumps(_metadata(scratch)))
    shim = scratch / "bin" / "cargo"
    shim.write_text(f"#!/bin/sh\nexec cat '{described}'\n")
    shim.chmod(0o755)


def _metadata(scratch: Path) -> dict[str, object]:
    """What `cargo metadata` says of the project."""
    package_id = f"path+file://{scratch}#chat@0.1.0"
    target = {
        "kind": ["bin"],
        "crate_types": ["bin"],
        "name": "chat",
        "src_path": str(scratch / "src" / "main.rs"),
        "edition": "2021",
        "doc": True,
        "doctest": False,
        "test": True,
    }
    package = {
        "name": "chat",
        "version": "0.1.0",
        "id": package_id,
        "license": None,
        "license_file": None,
        "description": None,
        "source": None,
        "dependencies": [],
        "targets": [target],
        "features": {},
        "manifest_path": str(scratch / "Cargo.toml"),
        "metadata": None,
        "publish": None,
        "authors": [],
        "categories": [],
        "keywords": [],
        "readme": None,
        "repository": None,
        "homepage": None,
        "documentation": None,
        "edition": "2021",
        "links": None,
        "default_run": None,
        "rust_version": None,
    }
    return {
        "packages": [package],
        "workspace_members": [package_id],
        "workspace_default_members": [package_id],
        "resolve": None,
        "target_directory": str(scratch / "target"),
        "version": 1,
        "workspace_root": str(scratch),
        "metadata": None,
    }
