"""Batches at providers: lines that a provider's own batch API answers, at its price for batches.

answers         the provider's result of a line as the caller's: translated, stamped, checked and billed
charges         the hold of a job, and its settlement
choice          decides whether a batch goes to its provider's batch API
collection      the results of a job as the outputs and errors of its parts
creation        creates a job, once
division        divides a batch into jobs
job_context     what all steps of one batch's jobs use, and its requests to the provider
poll            takes the message to look after a batch's jobs, and does what is due
prepared_parts  the lines of a part as a job sends them, and what its results need
sorted_results  stores the results of a job by part, in bounded memory
"""
