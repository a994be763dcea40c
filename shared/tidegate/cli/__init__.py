"""The command line: `python -m tidegate`.

main                 the entry point, the list of commands, and their exit codes
commands             runs the commands that work on the table: workspaces, keys, plans, usage, admin-keys
connection           which table a command works on, and the ports over it
workspaces           `workspaces create | list | show | suspend | resume`
workspace_limits     `workspaces set | set-limits | set-plan`
workspace_deletion   `workspaces delete`
members              `workspaces members list | put | remove`
credentials          `workspaces credentials list | put | remove`
key_grants           `keys create | set`
keys                 `keys list | rotate | revoke`
plans                `plans create | list | show | set | delete`
usage                `usage report | calls | audit`
admins               `admin-keys create | list | revoke`
calls                `calls tail | show | export | replay | reprice`, over HTTP
calls_client         its requests to the gateway and to the dashboard's API
calls_filters        its filters and ranges
calls_text           calls, timelines, costs and answers as text
calls_tail           `calls tail`
calls_show           `calls show`
calls_export         `calls export`
calls_replay         `calls replay`
calls_answer         the answer of the call that a replay makes
calls_reprice        `calls reprice`
batch                `batch submit | list | show | cancel | results | resume`, over HTTP
batch_client         its requests to the gateway
batch_upload         uploads a file of any size
batch_progress       shows how far a batch is
connect              `connect CLIENT`: the settings of a client for this gateway
client_settings      the settings of each client
settings_files       writes them into the client's file
server_access        the gateway that a command asks, and the key for it
server_client        HTTP requests to it
limits               the option `--limits`
options              the other options of a workspace
dates                dates in options
output               what a command prints: text, or JSON
"""
