"""The parts that operations on texts share: a request is validated once, and a reply comes whole.

fields     the fields of such a request, validated
request    the request, with the counts of its texts
operation  the operation: reads and stamps its replies
"""
