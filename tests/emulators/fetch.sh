#!/bin/sh
# Put AWS's runtime interface emulator and cargo-lambda into .tools/, from the Python packages that carry them.
# Does nothing where they are already. Needs x86_64 Linux, pip and network access to a package index.
set -eu

SAM_CLI=1.170.0
CARGO_LAMBDA=1.9.2

cd "$(dirname "$0")/../.."
python="${PYTHON:-python3}"
mkdir -p .tools

# fetch PACKAGE VERSION FILE-IN-WHEEL TARGET
fetch() {
    target=".tools/$4-$2"
    if [ ! -x "$target" ]; then
        wheels="$(mktemp -d)"
        "$python" -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: \
            --dest "$wheels" "$1==$2"
        "$python" - "$wheels" "$3" "$target.part" <<'EOF'
import pathlib, sys, zipfile
folder, member, target = sys.argv[1:]
(wheel,) = pathlib.Path(folder).glob("*.whl")
pathlib.Path(target).write_bytes(zipfile.ZipFile(wheel).read(member))
EOF
        rm -r "$wheels"
        chmod 755 "$target.part"
        mv "$target.part" "$target"
    fi
    ln -sf "$4-$2" ".tools/$4"
}

fetch aws-sam-cli "$SAM_CLI" samcli/local/rapid/aws-lambda-rie-x86_64 aws-lambda-rie
fetch cargo-lambda "$CARGO_LAMBDA" "cargo_lambda-$CARGO_LAMBDA.data/scripts/cargo-lambda" cargo-lambda
