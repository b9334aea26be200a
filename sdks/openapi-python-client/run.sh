#!/usr/bin/env bash
# openapi-python-client: generates, checks all types, makes the round trip. See scripts/sdks.py.
#   sdks/openapi-python-client/run.sh <server URL> <output directory>
set -euo pipefail
url="$1" out="$2"
here="$(dirname "$0")"
tools="$(scripts/tools.sh sdks/generators/python)"

rm -rf "$out/generated"
mkdir "$out/generated"
# It formats what it made with ruff, which it looks for in PATH.
PATH="$tools/bin:$PATH" "$tools/bin/openapi-python-client" generate --path openapi.yaml --meta none \
  --output-path "$out/generated/ifmatch_client"

export PYTHONPATH="$out/generated" MYPYPATH="$out/generated" PYTHONPYCACHEPREFIX="$out/pycache"
"$tools/bin/mypy" --config-file "$here/../generators/python/mypy.ini" --cache-dir "$out/mypy" "$here/round_trip.py"
"$tools/bin/python" "$here/round_trip.py" "$url" "$LOSSY_URL"
