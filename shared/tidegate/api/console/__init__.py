"""The dashboard: pages under /console/, and the API that they read, under /console/v1.

viewer         admits an admin key, or a caller's key or token
endpoints      /console/v1: who looks, the overview, and calls
reports        /console/v1: sessions, and what calls would have cost on other models
static_files   the files of `pages`, which are HTML, CSS and JavaScript modules without a build step
"""
