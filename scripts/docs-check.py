#!/usr/bin/env python3
"""Opens /docs of a server in Chromium, as a reader would, and fails on anything that the browser complains of.

    scripts/docs-check.py                            the newest binary that cargo has built
    scripts/docs-check.py --screenshots DIRECTORY    also keeps pictures of what was seen

What is looked at stands in docs-check.mjs. Needs `scripts/install.sh node browser`.
"""

import argparse
import pathlib
import shutil
import subprocess
import sys

from server import ROOT, Server, default_binary

BROWSER_SECONDS_MAX = 300  # a hung browser must not hang everything; it takes some 20


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", type=pathlib.Path, default=default_binary())
    parser.add_argument("--screenshots", type=pathlib.Path, metavar="DIRECTORY")
    arguments = parser.parse_args()

    chromium = shutil.which("chromium")
    if not chromium:
        raise SystemExit("docs-check: chromium is missing: run scripts/install.sh browser")
    tools = subprocess.run(
        [ROOT / "scripts/tools.sh", "tools/browser"], check=True, stdout=subprocess.PIPE, text=True
    ).stdout.strip()
    if arguments.screenshots:
        arguments.screenshots.mkdir(parents=True, exist_ok=True)
    with Server(arguments.binary) as server:
        command = ["node", ROOT / "scripts/docs-check.mjs", server.url, tools, chromium]
        if arguments.screenshots:
            command.append(arguments.screenshots)
        status = subprocess.run(command, timeout=BROWSER_SECONDS_MAX).returncode
    sys.exit(status)


if __name__ == "__main__":
    main()
