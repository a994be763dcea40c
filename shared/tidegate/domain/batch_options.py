"""The settings of batches."""

from collections.abc import Mapping

from msgspec import Struct, field


class BatchOptions(Struct, frozen=True):
    """The settings of batches. Sizes are bytes.

    `max_lines` and `max_input_bytes` are OpenAI's, for batches of the API; dropped objects may be larger. A worker has
    `parallel_calls` at once. `batch_window`, `workspace_window` and `provider_window` limit the parts in flight.
    `rates` are requests and tokens per minute by provider, of which batches may take the part `share`.
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
    share: float = 0.5
    rates: Mapping[str, tuple[int | None, int | None]] = field(default_factory=dict[str, tuple[int | None, int | None]])
