"""The HTTP seam: one request, one response with its chunks, over three libraries; AWS's signature; media of callers."""
