#!/usr/bin/env bash
# Redocly and Spectral on openapi.yaml, pinned in tools/lint. Fails on anything they say, warnings and hints too.
#
# What does not hold here is switched off in redocly.yaml and .spectral.yaml, each with its reason.
set -euo pipefail
cd "$(dirname "$0")/.."

tools="$(scripts/tools.sh tools/lint)/node_modules"
export REDOCLY_TELEMETRY=off REDOCLY_SUPPRESS_UPDATE_NOTICE=true

failed=0
# Redocly's exit code tells of errors alone; its summary counts warnings as well.
summary="$("$tools/.bin/redocly" lint main --format json 2>/dev/null | tr -d ' \n')" || true
case "$summary" in
  '{"totals":{"errors":0,"warnings":0,"ignored":0}'*) echo "Redocly: no finding" ;;
  *) failed=1; "$tools/.bin/redocly" lint main --max-problems 1000 || true ;;
esac
# Spectral looks for rulesets beside .spectral.yaml, and then in NODE_PATH.
export NODE_PATH="$tools"
if "$tools/.bin/spectral" lint --fail-severity hint --fail-on-unmatched-globs --ruleset .spectral.yaml openapi.yaml; then
  echo "Spectral: no finding"
else
  failed=1
fi
exit "$failed"
