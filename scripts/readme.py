"""Keeps README.md, docs/increments.md and docs/schemas.md true: runs what they print and compares, or writes what was answered into them.

    readme.py console [--update] [--binary PATH]   the ```console blocks of each, in order, in one shell, on one fresh server
    readme.py demo [--binary PATH]                 the block between the two demo marks

In a ```console block, `$ ` begins a command, `> ` continues it, and what follows is what it prints. Ids, tags and
times differ from run to run: each is compared by its place in the order of first appearance, so that a tag printed
twice has to be answered twice. Header lines are compared sorted: their order means nothing.
"""

import argparse
import difflib
import re
import subprocess
import sys

import server

README = server.ROOT / "README.md"
PAGES = [README, server.ROOT / "docs/increments.md", server.ROOT / "docs/schemas.md"]
ADDRESS = "http://127.0.0.1:8080"  # the one that the README prints
BLOCK = re.compile(r"(?<=^```console\n).*?(?=^```$)", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"^\$ .*\n(?:> .*\n)*", re.MULTILINE)
DEMO = re.compile(r"(?<=<!-- demo:begin -->\n).*?(?=<!-- demo:end -->)", re.DOTALL)
CHANGING = re.compile(
    r"(?P<date>\w{3}, \d\d \w{3} \d{4} [\d:]{8} GMT)"
    r"|(?P<time>\d{4}-\d\d-\d\dT[\d:.]+Z)"
    r"|(?P<id>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})"
    r"|(?<=\d\.)(?P<nonce>[0-9a-f]{16})\b"  # of a tag; its version is compared as it is
    r"|(?<=^content-length: )(?P<length>\d+)",
    re.MULTILINE,
)
RUN_SECONDS_MAX = 120


def commands(block):
    """The commands of one block, each a list of its lines."""
    return [found[0].splitlines() for found in COMMAND.finditer(block)]


def run(blocks, url):
    """The blocks with the answers that a server at `url` gives now."""
    end = "---- end of block ----"
    script = []
    for block in blocks:
        for lines in commands(block):
            script.append("cat <<'END_OF_COMMAND'\n" + "\n".join(lines) + "\nEND_OF_COMMAND")
            command = "\n".join(line[2:] for line in lines).replace(ADDRESS, url)
            script.append("{ " + command + '\n} >"$OUTPUT" 2>&1\nawk 1 "$OUTPUT"')
        script.append(f"echo '{end}'")
    shell = 'set -u; OUTPUT=$(mktemp); trap \'rm -f "$OUTPUT"\' EXIT\n' + "\n".join(script)
    done = subprocess.run(["bash", "-c", shell], capture_output=True, timeout=RUN_SECONDS_MAX, check=False)
    if done.returncode != 0:
        sys.exit(f"the shell stopped with {done.returncode}:\n{done.stderr.decode()}")
    printed = done.stdout.decode().replace("\r", "").replace(url, ADDRESS)
    return [sort_headers(block) for block in printed.split(f"{end}\n")[:-1]]


def sort_headers(text):
    """Sorts the lines between each status line and the next empty line."""
    return re.sub(
        r"(?<=^HTTP/1\.1 )([^\n]*\n)((?:[a-z-]+: [^\n]*\n)+)",
        lambda head: head[1] + "".join(sorted(head[2].splitlines(keepends=True))),
        text,
        flags=re.MULTILINE,
    )


def masked(text):
    """The text with everything that changes named by its kind and by when it first appeared."""
    seen = {}

    def name(found):
        kind = found.lastgroup
        if kind in ("date", "time", "length"):  # two of these may be equal, or not, from run to run
            return f"<{kind}>"
        of_kind = seen.setdefault(kind, {})
        return f"<{kind} {of_kind.setdefault(found[0], len(of_kind) + 1)}>"

    return CHANGING.sub(name, text)


def console(page, binary, update):
    name = page.relative_to(server.ROOT)
    text = page.read_text(encoding="utf-8")
    blocks = BLOCK.findall(text)
    if not blocks:
        sys.exit(f"{name} has no console block")
    with server.Server(binary) as started:
        answered = run(blocks, started.url)
    if update:
        remaining = iter(answered)
        page.write_text(BLOCK.sub(lambda _: next(remaining), text), encoding="utf-8")
        print(f"{name} now holds the answers to {sum(len(commands(block)) for block in blocks)} commands")
        return
    printed = masked(sort_headers("".join(blocks))).splitlines()
    answer = masked("".join(answered)).splitlines()
    difference = list(difflib.unified_diff(printed, answer, str(name), "the server", n=6, lineterm=""))
    if difference:
        print("\n".join(difference))
        sys.exit(f"{name} does not print what the server answers. Is the server right? Then run `make readme`.")
    print(f"{name} is true: {sum(len(commands(block)) for block in blocks)} commands, {len(printed)} lines")


def demo(binary):
    command = [sys.executable, server.ROOT / "scripts/demo.py", "--binary", binary]
    output = subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout.decode()
    readme = README.read_text(encoding="utf-8")
    README.write_text(DEMO.sub(lambda _: f"```text\n{output}```\n", readme), encoding="utf-8")
    print("README.md now holds the demo's output")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["console", "demo"])
    parser.add_argument("--update", action="store_true", help="write the answers into the pages")
    parser.add_argument("--binary", default=server.default_binary(), help="the server to start (%(default)s)")
    arguments = parser.parse_args()
    if arguments.what == "demo":
        demo(arguments.binary)
    else:
        for page in PAGES:
            console(page, arguments.binary, arguments.update)


if __name__ == "__main__":
    main()
