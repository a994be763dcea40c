"""`make screenshots`: pictures of every page of the dashboard, over a gateway with invented data.

tenants           workspaces, keys, plans, routes, guardrails and batches
invented_calls    a week of calls, with sessions, failures and one trace, the same with each run
gateway           the gateway over these data, whose clock stands still
browsing          visits of all pages, light, dark and on a phone
pictures          small PNG files of what the browser shows
test_screenshots  the pictures in docs/screenshots are those of the pages, and small
__main__          writes docs/screenshots
"""
