#!/usr/bin/env bash
# openapi-typescript and openapi-fetch: generates, checks all types, makes the round trip. See scripts/sdks.py.
#   sdks/openapi-fetch/run.sh <server URL> <output directory>
set -euo pipefail
url="$1" out="$2"
here="$(dirname "$0")"
bin="$(scripts/tools.sh sdks/generators/node)/node_modules/.bin"

rm -rf "$out/generated"
# Where there is a redocly.yaml, openapi-typescript takes its settings from it. Ours has other purposes.
root="$PWD"
(cd "$out" && "$bin/node" "$bin/openapi-typescript" "$root/openapi.yaml" --output generated/schema.ts)
sdks/generators/node/check-and-run.sh "$here" "$url" "$out"
