"""A headless Chromium, driven through chromedriver by plain HTTP (www.w3.org/TR/webdriver2): no library needed."""

from __future__ import annotations

import base64
import contextlib
import json
import shutil
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

DRIVER, BROWSER = shutil.which("chromedriver"), shutil.which("chromium")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-dev-shm-usage",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--window-size=1400,1200",
)  # fmt: skip


class Page:
    """A session of a browser: open a page, run scripts in it, read its log."""

    def __init__(self, port: int, profile: str) -> None:
        self._root = f"http://127.0.0.1:{port}"
        options = {"binary": BROWSER, "args": [*FLAGS, f"--user-data-dir={profile}"]}
        wanted = {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
        self._session = ""
        self._session = "/session/" + self._call("/session", {"capabilities": {"alwaysMatch": wanted}})["sessionId"]

    def open(self, path: Path) -> None:
        self._call("/url", {"url": path.as_uri()})

    def run(self, script: str, *arguments: Any) -> Any:
        return self._call("/execute/sync", {"script": script, "args": arguments})

    def log(self) -> list[dict[str, Any]]:
        return self._call("/se/log", {"type": "browser"})

    def picture(self) -> bytes:
        return base64.b64decode(self._call("/screenshot", None))

    def close(self) -> None:
        self._call("", None, "DELETE")

    def _call(self, path: str, body: Any, method: str | None = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self._root + self._session + path, data, method=method)
        with urllib.request.urlopen(request, timeout=120) as answer:
            return json.load(answer)["value"]


@contextlib.contextmanager
def browser() -> Iterator[Page]:
    """Start driver and browser on a free port, and end both."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        command = [DRIVER, "--port=0"]
        driver = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        try:
            port = next(int(line.split("port ")[-1].rstrip(". \n")) for line in driver.stdout if "success" in line)
            page = Page(port, profile)
            try:
                yield page
            finally:
                page.close()
                time.sleep(0.1)
        finally:
            driver.terminate()
            driver.wait()
            driver.stdout.close()
