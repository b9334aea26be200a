#!/usr/bin/env bash
# Type-checks a TypeScript round trip together with all that was generated for it, and makes it.
#   sdks/generators/node/check-and-run.sh <directory of round_trip.ts> <server URL> <output directory with generated/>
set -euo pipefail
here="$1" url="$2" out="$3"
modules="$(scripts/tools.sh sdks/generators/node)/node_modules"

ln -sfn "$modules" "$out/node_modules"
cp "$here/round_trip.ts" sdks/generators/node/tsconfig.json "$out/"
rm -rf "$out/built"
"$modules/.bin/node" "$modules/typescript-7/bin/tsc" --project "$out"
"$modules/.bin/node" "$out/built/round_trip.js" "$url" "$LOSSY_URL"
