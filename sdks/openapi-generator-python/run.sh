#!/usr/bin/env bash
# openapi-generator's `python`: generates, checks the types of the round trip, makes it. See scripts/sdks.py.
#   sdks/openapi-generator-python/run.sh <server URL> <output directory>
set -euo pipefail
url="$1" out="$2"
here="$(dirname "$0")"
tools="$(scripts/tools.sh sdks/generators/python)"

rm -rf "$out/generated"
# Documentation and test stubs of each model would take most of the time, and nothing here uses them.
JDK_JAVA_OPTIONS="-XX:TieredStopAtLevel=1 -XX:+UseSerialGC" "$tools/bin/openapi-generator-cli" generate \
  -i openapi.yaml -g python -o "$out/generated" --additional-properties packageName=ifmatch_client \
  --global-property apis,models,supportingFiles,apiDocs=false,modelDocs=false,apiTests=false,modelTests=false

export PYTHONPATH="$out/generated" MYPYPATH="$out/generated" PYTHONPYCACHEPREFIX="$out/pycache"
"$tools/bin/mypy" --config-file "$here/../generators/python/mypy.ini" --cache-dir "$out/mypy" "$here/round_trip.py"
"$tools/bin/python" "$here/round_trip.py" "$url" "$LOSSY_URL"
