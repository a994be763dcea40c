"""The Lambda functions: one package each, which only connects the library to AWS.

admin     the control plane: the admin API
batch     batches: the steps of the engine, and what starts them
chat      the data plane: chat completions
keeper    the schedule: settles lost calls and announces used budgets
"""
