#!/usr/bin/env bash
# openapi-generator's `typescript-fetch`: generates, checks all types, makes the round trip. See scripts/sdks.py.
#   sdks/typescript-fetch/run.sh <server URL> <output directory>
set -euo pipefail
url="$1" out="$2"
here="$(dirname "$0")"
tools="$(scripts/tools.sh sdks/generators/python)"

rm -rf "$out/generated"
JDK_JAVA_OPTIONS="-XX:TieredStopAtLevel=1 -XX:+UseSerialGC" "$tools/bin/openapi-generator-cli" generate \
  -i openapi.yaml -g typescript-fetch -o "$out/generated" \
  --global-property apis,models,supportingFiles,apiDocs=false,modelDocs=false
sdks/generators/node/check-and-run.sh "$here" "$url" "$out"
