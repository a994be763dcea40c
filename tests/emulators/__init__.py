"""What stands in for AWS: a model of our own, and wrappers around AWS's and cargo-lambda's emulators."""
