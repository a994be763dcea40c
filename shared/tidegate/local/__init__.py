"""The development server: the whole gateway on a laptop, with one command."""
