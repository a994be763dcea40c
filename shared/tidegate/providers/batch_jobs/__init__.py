"""Providers' own batch APIs, at half the price: each as a dialect without I/O, clock or state.

protocol    the protocol of these dialects, and the values that it is about
registry    finds the dialect of a deployment
openai      OpenAI's files and batches, which Azure and Groq have as well
anthropic   message batches
gemini      batches of generateContent, with their requests in the body
bedrock     model invocation jobs, with their records in S3
"""
