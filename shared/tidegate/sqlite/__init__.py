"""The table of `aws` in a folder of this machine: SQLite instead of DynamoDB, files instead of S3.

The ports are those of `aws`, over a client that executes DynamoDB's actions in SQLite: every rule is written once.

world         the connections of a process over one data folder
client        DynamoDB's actions, as `aws.store` calls them
writer        writes of many calls in one commit
transaction   conditional writes of several requests, on one state
updates       DynamoDB's update expressions, evaluated
conditions    DynamoDB's condition expressions, evaluated
tokens        the tokens of both
database      the file: its schema, versions, and errors
folder        the data folder: where it is, its files, and which server uses it
object_files  files that hold one object each
objects       large replies as files
batches       the batch engine over a data folder
batch_files   objects of files and batches as files
vault         credentials of workspaces
expiry        deletes what has expired
"""
