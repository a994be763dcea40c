"""The demo provider: models inside the process that need no key, for the first calls and for tests of a client.

provider        its row: which model honours which fields
transport       answers requests to it, whole or as a stream
answers         what each model answers
faults          the errors, timeouts and broken connections of some models
media           describes the images and other media of a prompt
texts           vectors, ranks and verdicts
schema_values   makes a value that fits a JSON Schema
"""

from tidegate.local.demo.provider import DEMO_BASE_URL, DEMO_ROW
from tidegate.local.demo.transport import DemoTransport

__all__ = ["DEMO_BASE_URL", "DEMO_ROW", "DemoTransport"]
