"""The local server, `python -m tidegate serve`: the data plane and the admin API in one process.

serve                the command: its options, and start-up
stores               the store: a data folder, memory, a table on AWS, or an embedded AWS; both planes over it
embedded             the embedded AWS (moto)
repeated_transactions  answers repeated transactions there
listener             the sockets that servers listen on
workers              the processes of `serve --workers N`
worker               one of them
batch_pipe           sends messages of batches to the process that does their steps
admin                routes /admin/v1 and /console to the control plane
demo_keys            the demo tenant's keys: random, or from the environment
demo_tenant          the demo workspace, its key, and the demo admin key, which a data folder keeps
host_check           refuses requests for other hosts
demo                 the demo provider, which needs no key: `demo/echo` and others
banner               what the server prints when it is ready
background_task      work that goes on while a context is open
background_sweeper   runs the sweeper once a minute, and the roller of call records
background_batches   runs the batch engine
drop_folder          makes batches of files that are dropped into a folder
openapi              the OpenAPI document of the data plane
openapi_headers      its headers, and the gateway's own request fields
openapi_operations   titles, descriptions and examples of its operations
openapi_clients      its endpoints for clients of OpenRouter and Lunos
openapi_dialects     its endpoints in other dialects than OpenAI's
openapi_texts        its endpoints of embeddings, rerank and moderations
openapi_batches      its endpoints of files, uploads and batches
openapi_batch_schemas  schemas of these endpoints
openapi_responses    its endpoints of stored responses and conversations
openapi_routes       `/openapi.json`, and pages of documentation
home_page            leads browsers from `/` to the dashboard
"""
