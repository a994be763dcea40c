"""Reports what a call would do, without making it.

dry_run      the report of one call
simulation   each deployment's turn, up to the request that would be sent
field_map    which upstream fields follow from a field of the caller's, by translating with and without it
report       the parts of the report as JSON
"""
