"""Embeddings at the providers: each module has one dialect.

registry    the translator of a provider, and which providers have embeddings
translator  a call → requests that are as long as the provider takes, and their replies → one reply
dialect     the protocol of a dialect, and what a request is made of
purposes    what texts are for, in the words of each provider
openai      OpenAI's dialect, with the quirks of those that speak it
cohere      Cohere's v2 API
gemini      Google's Gemini API
vertex      Vertex AI
bedrock     Amazon Bedrock's InvokeModel, for Titan, Nova and Cohere
"""
