#!/usr/bin/env bash
# Installs the pinned tools of one directory, once for each state of its lock file, and prints where they are.
#
#   scripts/tools.sh tools/lint      package.json + package-lock.json   → …/node_modules/.bin inside what is printed
#   scripts/tools.sh tools/fuzz      requirements.txt                   → …/bin (a virtual environment) inside what is printed
#
# Nothing is written beside the manifests: everything lies in $CARGO_TARGET_DIR/tools, and `cargo clean` removes it.
set -euo pipefail
cd "$(dirname "$0")/.."

source_dir="${1:?which directory of manifests?}"
target="${CARGO_TARGET_DIR:-target}"
place="$(mkdir -p "$target/tools" && cd "$target/tools" && pwd)/${source_dir//\//-}"
locks=()
for lock in "$source_dir"/package.json "$source_dir"/package-lock.json "$source_dir"/requirements.txt; do
  [ -e "$lock" ] && locks+=("$lock")
done
[ "${#locks[@]}" -gt 0 ] || { echo "tools: no manifest in $source_dir" >&2; exit 1; }
state="$(cat "${locks[@]}" | sha256sum | cut -d' ' -f1)"

if [ "$(cat "$place/.installed" 2>/dev/null)" != "$state" ]; then
  echo "tools: installing what $source_dir names" >&2
  rm -rf "$place"
  mkdir -p "$place"
  if [ -e "$source_dir/package.json" ]; then
    cp "$source_dir"/package*.json "$place/"
    (cd "$place" && npm ci --no-fund --no-audit --loglevel=error >&2)
  fi
  if [ -e "$source_dir/requirements.txt" ]; then
    python3 -m venv "$place"
    "$place/bin/pip" install --quiet --disable-pip-version-check -r "$source_dir/requirements.txt" >&2
  fi
  echo "$state" >"$place/.installed"
fi
echo "$place"
