"""A real Chromium without a window, driven over the DevTools protocol: one browser, and as many tabs as a test wants."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
import shutil
import subprocess
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
PATIENCE = 20.0  # seconds for anything that must happen at all; never a measure
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--mute-audio",
    "--remote-debugging-port=0",
)


def absent() -> str | None:
    """Why there is no browser to test with."""
    return None if CHROMIUM else "not installed: chromium"


class BrowserError(Exception):
    pass


@dataclass
class Tab:
    """One page. What its console, its policies and its network said since the tab was opened is in `console` and `asked`."""

    browser: Browser
    session: str
    context: str
    console: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)  # every URL
    opened: list[dict[str, Any]] = field(default_factory=list)  # dialogs

    async def send(self, method: str, **parameters: Any) -> Any:
        return await self.browser.send(method, self.session, **parameters)

    async def go(self, url: str) -> None:
        """Until all of it is there."""
        answer = await self.send("Page.navigate", url=url)  # which is answered when the new document has taken the place of the old one
        if text := answer.get("errorText"):
            raise BrowserError(f"{url}: {text}")
        await self.until("document.readyState === 'complete'", url)

    async def run(self, script: str) -> Any:
        """The value of an expression of JavaScript, awaited."""
        answer = await self.send("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True, userGesture=True)
        if "exceptionDetails" in answer:
            raise BrowserError(str(answer["exceptionDetails"].get("exception", answer["exceptionDetails"])))
        return answer["result"].get("value")

    async def until(self, script: str, why: str = "") -> None:
        """Wait until the expression is true."""
        try:
            async with asyncio.timeout(PATIENCE):
                while not await self.run(f"Boolean({script})"):
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise AssertionError(f"never came: {why or script}") from None

    async def sized(self, width: int, height: int = 900) -> None:
        await self.send("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600)

    async def themed(self, scheme: str) -> None:
        await self.send("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    async def scripted(self, allowed: bool) -> None:
        await self.send("Emulation.setScriptExecutionDisabled", value=not allowed)

    async def press(self, key: str) -> None:
        code = {"Tab": 9, "Enter": 13}[key]
        text = {"text": "\r"} if key == "Enter" else {}
        await self.send("Input.dispatchKeyEvent", type="keyDown", key=key, code=key, windowsVirtualKeyCode=code, **text)
        await self.send("Input.dispatchKeyEvent", type="keyUp", key=key, code=key, windowsVirtualKeyCode=code)

    async def picture(self, file: Path, whole: bool = True) -> None:
        shot = await self.send("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        file.write_bytes(base64.b64decode(shot["data"]))

    async def close(self) -> None:
        await self.browser.send("Target.disposeBrowserContext", browserContextId=self.context)
        self.browser.tabs.pop(self.session, None)


@dataclass
class Browser:
    """`said`: the last of what the browser itself wrote."""

    process: subprocess.Popen[bytes]
    socket: aiohttp.ClientWebSocketResponse
    tabs: dict[str, Tab] = field(default_factory=dict)
    _numbers: Any = field(default_factory=lambda: itertools.count(1))
    _answers: dict[int, asyncio.Future[Any]] = field(default_factory=dict)

    async def send(self, method: str, session: str = "", **parameters: Any) -> Any:
        number = next(self._numbers)
        self._answers[number] = asyncio.get_running_loop().create_future()
        told = {"id": number, "method": method, "params": parameters}
        await self.socket.send_json({**told, "sessionId": session} if session else told)
        try:
            return await asyncio.wait_for(self._answers[number], PATIENCE)
        finally:
            del self._answers[number]

    async def tab(self) -> Tab:
        """With cookies, storage and a cache of its own."""
        context = (await self.send("Target.createBrowserContext"))["browserContextId"]
        target = (await self.send("Target.createTarget", url="about:blank", browserContextId=context))["targetId"]
        session = (await self.send("Target.attachToTarget", targetId=target, flatten=True))["sessionId"]
        self.tabs[session] = tab = Tab(self, session, context)
        for domain in ("Page", "Runtime", "Log", "Network", "Audits"):
            await tab.send(f"{domain}.enable")
        return tab

    async def listen(self) -> None:
        async for message in self.socket:
            if message.type is not aiohttp.WSMsgType.TEXT:
                break
            told = message.json()
            if "id" in told:
                if (answer := self._answers.get(told["id"])) and not answer.done():
                    if "error" in told:
                        answer.set_exception(BrowserError(str(told["error"])))
                    else:
                        answer.set_result(told["result"])
            else:
                self._note(told.get("sessionId", ""), told["method"], told.get("params", {}))

    def _note(self, session: str, method: str, told: dict[str, Any]) -> None:
        if (tab := self.tabs.get(session)) is None:
            return
        note: Callable[[str], None] = tab.console.append
        match method:
            case "Runtime.consoleAPICalled":
                note(f"console.{told['type']}: {[each.get('value') for each in told['args']]}")
            case "Runtime.exceptionThrown":
                note(f"exception: {told['exceptionDetails']}")
            case "Log.entryAdded":
                note(f"log: {told['entry']['level']} {told['entry']['text']} {told['entry'].get('url', '')}")
            case "Audits.issueAdded":
                note(f"issue: {told['issue']['code']} {told['issue']['details']}")
            case "Network.requestWillBeSent":
                tab.asked.append(told["request"]["url"])
            case "Page.javascriptDialogOpening":
                tab.opened.append(told)


@contextlib.asynccontextmanager
async def browsing(directory: Path) -> AsyncIterator[Browser]:
    """`directory`: of its own, for the profile."""
    log = (directory / "chromium.log").open("wb")
    process = subprocess.Popen(
        [str(CHROMIUM), *FLAGS, f"--user-data-dir={directory / 'profile'}", "about:blank"], stdout=log, stderr=log, stdin=subprocess.DEVNULL
    )
    try:
        port = directory / "profile" / "DevToolsActivePort"
        async with asyncio.timeout(PATIENCE):
            while not (port.exists() and len(lines := port.read_text().split("\n")) > 1):
                if process.poll() is not None:
                    raise BrowserError((directory / "chromium.log").read_text()[-2000:])
                await asyncio.sleep(0.05)
        async with (
            aiohttp.ClientSession() as client,
            client.ws_connect(f"http://127.0.0.1:{lines[0]}{lines[1]}", max_msg_size=64 * 1024 * 1024) as socket,
        ):
            browser = Browser(process, socket)
            listening = asyncio.create_task(browser.listen())
            try:
                yield browser
            finally:
                with contextlib.suppress(BrowserError, TimeoutError, ConnectionError, aiohttp.ClientError):
                    await browser.send("Browser.close")
                listening.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await listening
    finally:
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(5)
        log.close()
