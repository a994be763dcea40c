"""The environment variables that Lambda, and `sam local`, set for a runtime.

Source: https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html (2026-10).
"""

from collections.abc import Mapping

from msgspec import Struct


class Environment(Struct, frozen=True):
    api: str
    """`HOST:PORT` of the Runtime API; emulators append a path."""
    task_root: str
    concurrency: int
    """How many invocations this process serves at once: 1, except on Lambda Managed Instances."""
    snap_start: bool
    sam_local: bool
    """Behind AWS's emulator, which does not stream: a whole proxy response is wanted."""

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> "Environment":
        """Read the variables that Lambda sets. Raises `KeyError` outside Lambda, where no Runtime API exists."""
        concurrency = env.get("AWS_LAMBDA_MAX_CONCURRENCY", "")
        return cls(
            api=env["AWS_LAMBDA_RUNTIME_API"],
            task_root=env.get("LAMBDA_TASK_ROOT") or ".",
            concurrency=max(1, int(concurrency)) if concurrency.isdecimal() else 1,
            snap_start=env.get("AWS_LAMBDA_INITIALIZATION_TYPE") == "snap-start",
            sam_local=env.get("AWS_SAM_LOCAL", "").lower() == "true",
        )
