"""Frozen values that are ours."""
