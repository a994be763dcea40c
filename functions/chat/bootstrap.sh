#!/bin/sh
# AWS_LAMBDA_EXEC_WRAPPER: the managed runtime's Python, but our Runtime API client, which streams.
set -eu
cd "${LAMBDA_TASK_ROOT:-/var/task}"
# Without `site` and `-m`: both take 2 ms.
exec python3 -S -c "from tidegate.runtime.start import main; main()" "$_HANDLER"
