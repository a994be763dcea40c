#!/bin/sh
# The handler under the Lambda Web Adapter (StreamingRuntime=web-adapter): the same application behind uvicorn.
set -eu
cd "${LAMBDA_TASK_ROOT:-/var/task}"
exec python3 -m uvicorn functions.chat.app:app --host 127.0.0.1 --port "${AWS_LWA_PORT:-8080}" \
    --no-access-log --no-server-header --timeout-keep-alive 900 --log-level warning
