"""The data plane on Lambda.

app   the API on AWS's stores, served by `tidegate.runtime` (see bootstrap.sh)
"""
