"""`python transform.py TEMPLATE [PARAMETER=VALUE …]`: what CloudFormation makes of a SAM template, as JSON.

Runs in the environment that holds the SAM CLI, so that the template is read by the release that builds it.
"""

import json
import os
import sys
from pathlib import Path

# The client asks for a region before it does nothing with it.
os.environ.setdefault("AWS_DEFAULT_REGION", "eu-central-1")


def main() -> None:
    from samtranslator.translator.managed_policy_translator import ManagedPolicyLoader
    from samtranslator.translator.transform import transform
    from samtranslator.yaml_helper import yaml_parse

    path, *assignments = sys.argv[1:]
    template = yaml_parse(Path(path).read_text())
    for resource in template["Resources"].values():
        if "CodeUri" in resource.get("Properties", {}):
            resource["Properties"]["CodeUri"] = "s3://artifacts/function.zip"
    parameters = dict(assignment.partition("=")[::2] for assignment in assignments)
    print(json.dumps(transform(template, parameters, ManagedPolicyLoader(None))))


if __name__ == "__main__":
    main()
