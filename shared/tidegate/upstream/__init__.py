"""HTTP to providers: the transport seam, one attempt, and the framings of streams."""
