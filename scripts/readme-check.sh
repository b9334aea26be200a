#!/usr/bin/env bash
# Runs the commands printed in README.md and the pages below docs/, each page against a fresh server, and compares the
# answers with those printed there. With --update, writes the answers into the pages instead. Names of pages: only those.
exec python3 "$(dirname "$0")/readme.py" console "$@"
