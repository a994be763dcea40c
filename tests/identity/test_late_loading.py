"""PyJWT and `cryptography` are loaded by the first token that needs them, and by nothing else."""

import os
import subprocess
import sys

import pytest

_PROGRAM = """
import asyncio, sys
from tidegate.domain.identity import OidcIssuer
from tidegate.errors import InvalidToken, NotConfigured
from tidegate.identity.choose import add_google_tokens, create_access_tokens
from tidegate.settings import EnvironmentSecrets

loaded = []

def look():
    loaded.append({"jwt", "cryptography"} <= set(sys.modules))
    assert loaded[-1] or not {"jwt", "cryptography"} & set(sys.modules)

async def main(first):
    credentials = '{"type": "service_account", "client_email": "x", "private_key": "no key"}'
    values = EnvironmentSecrets({"VERTEX_API_KEY": credentials, "OPENAI_API_KEY": "other"})
    tokens = create_access_tokens(OidcIssuer("https://issuer.example", "tidegate"), None)
    secrets = add_google_tokens(values, None, None, "eu-central-1")
    await secrets.get("OPENAI_API_KEY")
    look()
    try:
        await (tokens.verify("a.b.c") if first == "access token" else secrets.get("VERTEX_API_KEY"))
    except (InvalidToken, NotConfigured):
        look()

asyncio.run(main(sys.argv[1]))
print(loaded)
"""


@pytest.mark.parametrize("first", ["access token", "service account"])
def test_the_first_token_loads_the_library(first: str) -> None:
    command = [sys.executable, "-c", _PROGRAM, first]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env={"PATH": os.environ["PATH"]})
    assert done.stdout == "[False, True]\n"
