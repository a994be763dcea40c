"""The control plane on Lambda.

app   the admin API and the dashboard, behind a proxy integration that does not stream
"""
