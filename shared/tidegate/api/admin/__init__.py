"""The control plane over HTTP: FastAPI under /admin/v1. The only room beside the local server that knows FastAPI."""
