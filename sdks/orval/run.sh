#!/usr/bin/env bash
# orval, its fetch client: generates, checks all types, makes the round trip. See scripts/sdks.py.
#   sdks/orval/run.sh <server URL> <output directory>
set -euo pipefail
url="$1" out="$2"
here="$(dirname "$0")"
bin="$(scripts/tools.sh sdks/generators/node)/node_modules/.bin"

rm -rf "$out/generated"
OUT="$out" "$bin/node" "$bin/orval" --config "$here/orval.config.mjs"
sdks/generators/node/check-and-run.sh "$here" "$url" "$out"
