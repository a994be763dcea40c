"""The admin API: the control plane over HTTP, under /admin/v1. Only this package and `local` import FastAPI.

app              the FastAPI application, its OpenAPI document, and its error handlers
middleware       authenticates the admin key, limits the body, and adds headers to every response
dependencies     the parameters that many endpoints share: If-Match, pages, Idempotency-Key
requests         the bodies of requests
route_requests   the bodies of routes and guardrails
responses        the bodies of responses, and how they are sent
field_types      the field types of request bodies
workspaces       /admin/v1/workspaces, with credentials and members
plans            /admin/v1/plans
keys             /admin/v1/keys, /admin/v1/subjects and the keys of a workspace
admins           /admin/v1/admins
logs             usage reports, the call log and the audit log
"""
