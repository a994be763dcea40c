"""OpenAI's chat dialect as providers really speak it: requests out, replies and failures back into one shape."""
