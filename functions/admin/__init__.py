"""The control plane on Lambda.

app   the admin API on AWS's stores, behind a proxy integration that does not stream
"""
