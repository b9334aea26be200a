#!/usr/bin/env bash
# Runs the commands printed in README.md against a fresh server and compares the answers with those printed there.
# With --update, writes the answers into README.md instead.
exec python3 "$(dirname "$0")/readme.py" console "$@"
