#!/usr/bin/env bash
# Runs the commands printed in README.md, docs/increments.md and docs/schemas.md, each against a fresh server, and compares the answers with
# those printed there. With --update, writes the answers into the pages instead.
exec python3 "$(dirname "$0")/readme.py" console "$@"
