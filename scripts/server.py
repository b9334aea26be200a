"""Starts an ifmatch server for a script: a free port, a temporary data directory, nothing left behind."""

import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
START_SECONDS_MAX = 60  # initdb on a slow disk takes several seconds
STOP_SECONDS_MAX = 60


class Server:
    """`with Server(binary) as server:` runs a server at `server.url` and checks that it stops cleanly."""

    def __init__(self, binary):
        self.binary = pathlib.Path(binary)
        if not self.binary.exists():
            raise SystemExit(f"{self.binary} does not exist: run `cargo build` first")

    def __enter__(self):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="ifmatch-"))
        # Started by root, the server runs Postgres as another user, who must be able to pass through here.
        self.directory.chmod(0o711)
        self.log = self.directory / "log"
        # Settings of the caller's own server must not leak into this one, its database least of all.
        environment = {
            name: value
            for name, value in os.environ.items()
            if name != "DATABASE_URL" and not name.startswith("IFMATCH_")
        }
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [self.binary, "serve", "--listen", "127.0.0.1:0", "--data-dir", self.directory / "data"],
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment,
            )
        try:
            self.url = self._wait_for_address()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(self, kind, *_):
        status = self._stop()
        if kind is None and status != 0:
            raise SystemExit(f"the server should have stopped with exit code 0, not {status}")

    def _wait_for_address(self):
        deadline = time.monotonic() + START_SECONDS_MAX
        while time.monotonic() < deadline:
            line = re.search(r"^ifmatch listens on (http://\S+)$", self._log_text(), re.MULTILINE)
            if line:
                return line[1]
            if self.process.poll() is not None:
                raise SystemExit(f"the server stopped with {self.process.returncode}:\n{self._log_text()}")
            time.sleep(0.05)
        raise SystemExit(f"no server after {START_SECONDS_MAX} s:\n{self._log_text()}")

    def _log_text(self):
        return self.log.read_text(errors="replace")

    def _stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            self.process.kill()
            status = self.process.wait()
        if status != 0:
            print(self._log_text())
        shutil.rmtree(self.directory, ignore_errors=True)
        return status


def default_binary():
    """The newest of the binaries that cargo has built."""
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    built = [path for path in (target / "release/ifmatch", target / "debug/ifmatch") if path.exists()]
    return max(built, key=lambda path: path.stat().st_mtime, default=target / "debug/ifmatch")
