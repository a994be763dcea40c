"""The control plane without a web framework: the operator's use cases, called by the admin API and the command line.

All raise `AdminForbidden`, `InvalidRequest`, and `NotFound` for a resource that is unknown or hidden from the key.

control              the ports that every use case works with, and how it records a change in the audit log
ports                the store of managed resources, and a workspace's batches, as protocols
authorization        admin keys: authentication, scopes, and the workspaces that a key may manage
viewers              who looks at the dashboard
validation           the checks of what operators write
views                resources as JSON, without secrets and their hashes
workspaces           create, list, change and suspend workspaces
workspace_deletion   deletes a workspace with its keys, members, provider keys, files, batches and aggregates
plans                create, list, change and delete plans, and copy their limits to the workspaces
keys                 create, list, change, rotate and revoke virtual keys
admins               create, list and revoke admin keys
members              add, list and remove the members of a workspace
credentials          store and delete the provider keys that a workspace brings
aggregate_range      ranges of hours and days, and the aggregates in them
overview             calls, tokens, cost and times of workspaces over time and by name, from aggregates
overview_figures     sums and percentiles of an overview
overview_budgets     budgets of workspaces and keys, used and held
sessions             a workspace's sessions, and the calls of one
session_tree         the calls of a session by agent, with their sums
providers            the state of providers: calls, errors, cooldowns, missing settings
reprice              what a range of calls would have cost on other models
reprice_report       its result, with words of caution
reports              usage of a workspace by day, model, key, application or session
logs                 the call log and the audit log
call_details         one call: its record, timeline, cost and trace
traces               traces for those who may read them, and their destruction
spreadsheet          CSV
"""
