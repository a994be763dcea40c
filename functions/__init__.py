"""One folder per Lambda function, wiring only."""
