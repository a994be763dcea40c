"""Stands in for the Python runtime of Lambda: takes events from the Runtime API, and calls the handler in `_HANDLER`.

Source: https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html (read 2026-11)
"""

import importlib
import json
import os
import time
import traceback
import urllib.request

URL = f"http://{os.environ['AWS_LAMBDA_RUNTIME_API']}/2018-06-01/runtime/invocation"


class Context:
    def __init__(self, deadline_ms: int) -> None:
        self._deadline_ms = deadline_ms

    def get_remaining_time_in_millis(self) -> int:
        return max(0, self._deadline_ms - int(time.time() * 1000))


def main() -> None:
    module, name = os.environ["_HANDLER"].rsplit(".", 1)
    handler = getattr(importlib.import_module(module), name)
    while True:
        with urllib.request.urlopen(f"{URL}/next") as response:
            event, headers = json.load(response), response.headers
        try:
            path, answer = "response", handler(event, Context(int(headers["Lambda-Runtime-Deadline-Ms"])))
        except Exception as error:
            traceback.print_exc()
            path, answer = "error", {"errorType": type(error).__name__, "errorMessage": str(error)}
        url = f"{URL}/{headers['Lambda-Runtime-Aws-Request-Id']}/{path}"
        urllib.request.urlopen(urllib.request.Request(url, json.dumps(answer).encode(), method="POST")).close()


main()
