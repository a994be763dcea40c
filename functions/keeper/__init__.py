"""The keeper on Lambda.

app   a sweep of `tidegate.aws.sweeper`, started by a schedule every five minutes
"""
