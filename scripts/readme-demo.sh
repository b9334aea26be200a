#!/usr/bin/env bash
# Writes the output of scripts/demo.py into README.md, between its two demo marks.
exec python3 "$(dirname "$0")/readme.py" demo "$@"
