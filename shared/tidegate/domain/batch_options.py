"""The settings of batches."""

from collections.abc import Mapping

import msgspec
from msgspec import Struct, field
from msgspec.structs import replace

from tidegate.errors import ConfigurationError
from tidegate.json import Json


class BatchOptions(Struct, frozen=True, forbid_unknown_fields=True):
    """The settings of batches. Sizes are bytes.

    `max_lines` and `max_input_bytes` are OpenAI's, for batches of the API; dropped objects may be larger. A worker has
    `parallel_calls` at once. `batch_window`, `workspace_window` and `provider_window` limit the parts in flight.
    `rates` are requests and tokens per minute by provider, of which batches may take the part `share`.
    `max_stored_bytes` and `max_stored_files` limit what a workspace stores in files and uploads of the API.
    `bedrock_role` is the role with which Bedrock's batch jobs read and write the bucket of batches.
    """

    max_lines: int = 50_000
    max_input_bytes: int = 200 * 1024 * 1024
    max_object_lines: int = 5_000_000
    max_object_bytes: int = 5 * 1024 * 1024 * 1024
    max_file_bytes: int = 512 * 1024 * 1024
    max_line_bytes: int = 1024 * 1024
    part_lines: int = 200
    part_bytes: int = 1024 * 1024
    parallel_calls: int = 64
    flush_seconds: float = 1.0
    batch_window: int = 8
    workspace_window: int = 16
    provider_window: int = 32
    max_open_batches: int = 100
    max_stored_bytes: int = 100 * 1024 * 1024 * 1024
    max_stored_files: int = 10_000
    max_open_uploads: int = 100
    share: float = 0.5
    rates: Mapping[str, tuple[int | None, int | None]] = field(default_factory=dict[str, tuple[int | None, int | None]])
    bedrock_role: str = ""


class _Rate(Struct, frozen=True, forbid_unknown_fields=True):
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None


def parse_batch_options(value: Json) -> BatchOptions:
    """Read the setting TIDEGATE_BATCH_OPTIONS, which names the numbers of a rate. Raises `ConfigurationError`.

    {"share": 0.25, "rates": {"openai": {"requests_per_minute": 500, "tokens_per_minute": 200000}}}
    """
    named: Json = value.get("rates", {}) if isinstance(value, dict) else {}
    others = {name: option for name, option in value.items() if name != "rates"} if isinstance(value, dict) else value
    try:
        options = msgspec.convert(others, BatchOptions)
        rates = msgspec.convert(named, dict[str, _Rate])
    except msgspec.ValidationError as error:
        raise ConfigurationError(f"TIDEGATE_BATCH_OPTIONS is not valid: {error}.") from None
    pairs = {name: (rate.requests_per_minute, rate.tokens_per_minute) for name, rate in rates.items()}
    options = replace(options, rates=pairs)
    fields = {name: getattr(options, name) for name in options.__struct_fields__}
    limits = [number for rate in options.rates.values() for number in rate if number is not None]
    if any(number <= 0 for number in (*limits, *(each for each in fields.values() if isinstance(each, int | float)))):
        raise ConfigurationError("TIDEGATE_BATCH_OPTIONS is not valid: all numbers must be positive.")
    if options.share > 1:
        raise ConfigurationError("TIDEGATE_BATCH_OPTIONS is not valid: `share` is at most 1.")
    return options
