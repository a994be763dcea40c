"""Rerank as an operation: documents in the order of their relevance to a query. The inner dialect is Cohere's.

Source: https://docs.cohere.com/reference/rerank (v2, 2026-11).

operation  the operation, as the pipeline knows it
request    requests: a query and its documents
"""
