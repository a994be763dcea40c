#!/bin/sh
# AWS_LAMBDA_EXEC_WRAPPER: the managed runtime's Python, but our Runtime API client, which streams.
set -eu
cd "${LAMBDA_TASK_ROOT:-/var/task}"
exec python3 -m tidegate.runtime "$_HANDLER"
