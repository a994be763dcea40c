"""neuroflash's dialect for clients: OpenAI's, with ids of its own, a required workspace, and usage in every stream.

Source: https://neuro-flash.github.io/api-docs (2026-11).
"""

from tidegate.domain.ids import random_letters
from tidegate.surfaces.openai import OpenAISurface


class NeuroflashSurface(OpenAISurface, frozen=True):
    """OpenAI's dialect with neuroflash's ids."""

    def reply_id(self, call_id: str, now: float) -> str:
        """Return `gen-<unix seconds>-<8 alphanumerics>`."""
        return f"gen-{int(now)}-{random_letters(8)}"


NEUROFLASH = NeuroflashSurface(name="neuroflash", requires_workspace=True, always_includes_usage=True)
