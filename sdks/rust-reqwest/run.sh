#!/usr/bin/env bash
# openapi-generator's `rust`, library `reqwest`: generates, compiles, makes the round trip. See scripts/sdks.py.
#   sdks/rust-reqwest/run.sh <server URL> <output directory>
set -euo pipefail
url="$1" out="$2"
here="$(dirname "$0")"
tools="$(scripts/tools.sh sdks/generators/python)"

rm -rf "$out/client" "$out/round-trip"
# Documentation and test stubs of each model would take most of the time, and nothing here uses them.
JDK_JAVA_OPTIONS="-XX:TieredStopAtLevel=1 -XX:+UseSerialGC" "$tools/bin/openapi-generator-cli" generate \
  -i openapi.yaml -g rust --library reqwest -o "$out/client" \
  --additional-properties packageName=ifmatch_client,useSingleRequestParameter=true \
  --global-property apis,models,supportingFiles,apiDocs=false,modelDocs=false,apiTests=false,modelTests=false

# The round trip depends on what has just been generated, so it is compiled beside it.
mkdir "$out/round-trip"
cp -R "$here/Cargo.toml" "$here/Cargo.lock" "$here/src" "$out/round-trip/"
# Both SDKs for Rust need much the same crates: beside their output is one directory for what is built of them.
export CARGO_TARGET_DIR="$out/../cargo"
nice cargo build --locked --quiet --manifest-path "$out/round-trip/Cargo.toml"
"$CARGO_TARGET_DIR/debug/rust-reqwest-round-trip" "$url" "$LOSSY_URL"
