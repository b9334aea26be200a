#!/usr/bin/env bash
# @hey-api/openapi-ts: generates, checks all types, makes the round trip. See scripts/sdks.py.
#   sdks/hey-api/run.sh <server URL> <output directory>
set -euo pipefail
url="$1" out="$2"
here="$(dirname "$0")"
bin="$(scripts/tools.sh sdks/generators/node)/node_modules/.bin"

rm -rf "$out/generated"
"$bin/node" "$bin/openapi-ts" --input openapi.yaml --output "$out/generated" --no-log-file
sdks/generators/node/check-and-run.sh "$here" "$url" "$out"
