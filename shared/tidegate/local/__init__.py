"""The local server, `python -m tidegate serve`: the data plane, the admin API and an embedded AWS in one process.

serve                the command: options, both planes over one store, and start-up
embedded             the embedded AWS (moto), and the demo tenant
admin                routes /admin/v1 to the admin API; the demo admin key
demo_keys            the demo tenant's keys: random, or from the environment
host_check           refuses requests for other hosts
demo                 `demo/echo`, a provider that needs no key
banner               what the server prints when it is ready
background_sweeper   runs the sweeper once a minute
connection_guard     limits of time and memory for connections of strangers
graceful_shutdown    finishes running calls before the process ends
openapi              the OpenAPI document of the data plane
openapi_headers      its headers, and the gateway's own request fields
openapi_routes       `/openapi.json`, and pages of documentation
"""
