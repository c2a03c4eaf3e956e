"""Headless Chromium, driven through a pair of pipes: no driver program, no port, no network."""

from __future__ import annotations

import base64
import json
import os
import re
import shlex
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

_OPTIONS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--window-size=1240,1400",
    "--remote-debugging-pipe",
)
PATIENCE = 30.0


class Browser:
    """One page of a Chromium of its own. Chromium's developer protocol: JSON, each message ended by a NUL."""

    def __init__(self, profile: Path) -> None:
        """Start it; *profile* is an empty folder."""
        assert CHROMIUM is not None
        to_browser, self._out = os.pipe()
        self._in, from_browser = os.pipe()
        words = shlex.join([CHROMIUM, *_OPTIONS, f"--user-data-dir={profile}", "about:blank"])
        # The protocol's pipes are file descriptors 3 and 4: a shell puts them there.
        self._process = subprocess.Popen(
            ["bash", "-c", f"exec {words} 3<&{to_browser} 4>&{from_browser}"],
            pass_fds=(to_browser, from_browser),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(to_browser)
        os.close(from_browser)
        self._buffer = b""
        self._number = 0
        self.events: list[dict[str, Any]] = []
        [page] = [target for target in self.call("Target.getTargets")["targetInfos"] if target["type"] == "page"]
        self._session = None
        self._session = self.call("Target.attachToTarget", targetId=page["targetId"], flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Call *method* of the protocol and return its result."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if getattr(self, "_session", None):
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                return answer["result"]
            self.events.append(answer)

    def open(self, address: str) -> None:
        """Go to *address*, from nowhere: what it asks for is kept in `requests`."""
        self.call("Page.navigate", url="about:blank")
        self.events.clear()
        self.call("Page.navigate", url=address)

    def evaluate(self, script: str) -> Any:
        """Return what *script* gives in the page."""
        found = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def wait(self, script: str) -> Any:
        """Return what *script* gives as soon as that is true of anything; a page that never says so fails the test."""
        end = time.monotonic() + PATIENCE
        while not (value := self.evaluate(script)):
            assert time.monotonic() < end, f"never true: {script}\nthe page says: {self.text()[:2000]}"
            time.sleep(0.05)
        return value

    def wait_for(self, words: str) -> None:
        """Wait until the page shows *words*."""
        self.wait(f"document.body?.innerText.includes({json.dumps(words)})")

    def text(self) -> str:
        """Return the text that is to be seen."""
        return str(self.evaluate("document.body ? document.body.innerText : ''"))

    def click(self, words: str, selector: str = "*") -> None:
        """Click the innermost element of *selector* that shows *words*."""
        script = f"""(() => {{
          const found = [...document.querySelectorAll({json.dumps(selector)})]
            .filter(e => e.offsetParent !== null && e.innerText && e.innerText.includes({json.dumps(words)}))
            .sort((a, b) => a.innerText.length - b.innerText.length)[0];
          if (found) found.click();
          return !!found;
        }})()"""
        self.wait(script)

    def requests(self) -> set[str]:
        """Return the addresses that were asked for since the page was opened."""
        sent = (
            event["params"]["request"]["url"]
            for event in self.events
            if event.get("method") == "Network.requestWillBeSent"
        )
        return {url for url in sent if not url.startswith(("data:", "blob:"))}

    def screenshot(self, path: Path) -> None:
        """Take a picture of what is to be seen."""
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"]))

    def pages(self) -> int:
        """Return on how many pages of A4 it is printed."""
        printed = self.call("Page.printToPDF", printBackground=True, preferCSSPageSize=True)
        return len(re.findall(rb"/Type\s*/Page\b", base64.b64decode(printed["data"])))

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()
        os.close(self._in)
        os.close(self._out)

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            piece = os.read(self._in, 1 << 20)
            assert piece, "Chromium ended"
            self._buffer += piece
        message, _, self._buffer = self._buffer.partition(b"\0")
        return json.loads(message)
