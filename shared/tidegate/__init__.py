"""Tidegate: an OpenAI-compatible gateway to every large-model provider, inside your own AWS account.

The rooms, from the door inwards (imports point down only; `lint-imports` holds it):

    functions, local, cli     what starts a process: one composition root per world
    api, runtime              what clients and Lambda speak to
    aws, memory               the ports, in DynamoDB and in dictionaries
    gateway                   the path of one call, as one straight line
    path                      its steps: asking, replying, settling
    policy, upstream          the rules of those steps; HTTP to providers
    providers, catalog        one upstream dialect each, pure; models and prices as data
    ports                     what the core needs from the world
    domain                    frozen values
    chat, errors              the wire dialect, and the error tree
"""

__version__ = "0.1.0"
