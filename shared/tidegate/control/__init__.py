"""The control plane without its framework: what an operator may do, for the admin API and the command line alike."""
