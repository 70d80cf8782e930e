"""A page in headless Chromium, driven over a pipe by the DevTools protocol; tests skip where there is no Chromium."""

from __future__ import annotations

import json
import os
import select
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")
PATIENCE_S = 60.0
COMPLAINTS = ("Runtime.exceptionThrown", "Log.entryAdded", "Runtime.consoleAPICalled")
FLAGS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--remote-debugging-pipe")
# Chromium reads commands from descriptor 3 and writes answers to 4.
LAUNCH = """
import fcntl, os, sys
commands, answers = (fcntl.fcntl(int(number), fcntl.F_DUPFD, 10) for number in sys.argv[1:3])
os.dup2(commands, 3)
os.dup2(answers, 4)
os.execv(sys.argv[3], sys.argv[3:])
"""


class Browser:
    """One tab.

    Args:
        process: of Chromium.
        commands, answers: descriptors of the pipes.
    """

    def __init__(self, process: subprocess.Popen[bytes], commands: int, answers: int) -> None:
        self.process, self._commands, self._answers = process, commands, answers
        self._buffer, self._number, self._session, self._events = b"", 0, "", list[dict[str, Any]]()
        target = self.call("Target.createTarget", {"url": "about:blank"})["targetId"]
        self._session = self.call("Target.attachToTarget", {"targetId": target, "flatten": True})["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self.call(f"{domain}.enable")

    def open(self, path: Path) -> None:
        """Load a file and wait for it."""
        self.call("Page.navigate", {"url": path.resolve().as_uri()})
        while not any(event["method"] == "Page.loadEventFired" for event in self._events):
            self._events.append(self._message())

    def evaluate(self, script: str) -> Any:
        """The value of a script, awaited."""
        found = self.call("Runtime.evaluate", {"expression": script, "returnByValue": True, "awaitPromise": True})
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def complaints(self) -> list[str]:
        """What the console shows above mere information, and errors that nothing caught."""
        self.evaluate("1")  # by its answer all that came before has been read
        told = [event for event in self._events if event["method"] in COMPLAINTS]
        return [str(event["params"]) for event in told if event["params"].get("type") not in ("info", "log", "debug")]

    def point_at(self, x: float, y: float, click: bool = False) -> None:
        """Move the pointer to a place of the window, in pixels."""
        mouse: dict[str, Any] = {"x": x, "y": y, "button": "none"}
        self.call("Input.dispatchMouseEvent", {**mouse, "type": "mouseMoved"})
        if click:
            for kind in ("mousePressed", "mouseReleased"):
                self.call("Input.dispatchMouseEvent", {**mouse, "type": kind, "button": "left", "clickCount": 1})

    def processor_seconds(self) -> float:
        """What all processes of the browser took of the processor so far."""
        processes = self.call("SystemInfo.getProcessInfo", of_tab=False)["processInfo"]
        return float(sum(process["cpuTime"] for process in processes))

    def call(self, method: str, parameters: dict[str, Any] | None = None, of_tab: bool = True) -> dict[str, Any]:
        """A command of the DevTools protocol, of the tab or of the whole browser."""
        self._number += 1
        command = {"id": self._number, "method": method, "params": parameters or {}}
        if of_tab and self._session:
            command["sessionId"] = self._session
        os.write(self._commands, json.dumps(command).encode() + b"\0")
        while (message := self._message()).get("id") != self._number:
            self._events.append(message)
        assert "error" not in message, message
        return dict(message["result"])

    def _message(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            assert select.select([self._answers], [], [], PATIENCE_S)[0], "Chromium does not answer"
            read = os.read(self._answers, 2**16)
            assert read, "Chromium has ended"
            self._buffer += read
        line, _, self._buffer = self._buffer.partition(b"\0")
        return dict(json.loads(line))


@contextmanager
def chromium(profile: Path, *flags: str) -> Iterator[Browser]:
    """A browser with a profile of its own.

    Args:
        profile: an empty folder.
        flags: of the command line, beside those that every test needs.
    """
    path = next((found for name in NAMES if (found := shutil.which(name))), None)
    if path is None:
        pytest.skip("no Chromium here; Debian's is installed by: apt-get install chromium")
    read, commands = os.pipe()
    answers, write = os.pipe()
    command = [sys.executable, "-c", LAUNCH, str(read), str(write), path, *FLAGS, f"--user-data-dir={profile}", *flags]
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(command, pass_fds=(read, write), stdout=quiet, stderr=quiet, start_new_session=True)
    os.close(read)
    os.close(write)
    try:
        browser = Browser(process, commands, answers)
        yield browser
        browser.call("Browser.close", of_tab=False)
    finally:
        process.terminate()
        process.wait(30)
        os.close(commands)
        os.close(answers)
