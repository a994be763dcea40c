"""The worst case of a call, its use of limits, and its cost.

reservation    the worst case of a call, which its accounts must have room for
refusal        the answer that a limit still allows a call whose worst case it refuses
billing        the provider's usage → tokens, words and cost
reported_cost  the cost that a provider reports, where the catalogue cannot know it
unreported     what a request costs whose usage the provider never reported
quota          how much of each limit of a workspace or a key is used and held
roller         makes aggregates of call records, by hour and day
alerts         notifications that a budget runs out, sent once
"""
