#!/usr/bin/env bash
# progenitor: its macro generates while the round trip is compiled; makes the round trip. See scripts/sdks.py.
#   sdks/progenitor/run.sh <server URL> <output directory>
set -euo pipefail
url="$1" out="$2"
here="$(dirname "$0")"

# Both SDKs for Rust need much the same crates: beside their output is one directory for what is built of them.
export CARGO_TARGET_DIR="$out/../cargo"
nice cargo build --locked --quiet --manifest-path "$here/Cargo.toml"
"$CARGO_TARGET_DIR/debug/progenitor-round-trip" "$url" "$LOSSY_URL"
