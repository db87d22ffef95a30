"""The pictures of the status page in the README: `python docs/pictures/page.py URL`, while `mailcanary demo --keep` runs there."""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import urllib.request
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1]))

from tests.real.chromium import Tab, absent, browsing  # noqa: E402  a script outside any package: the tree is found first

LARGEST = 250_000  # bytes of one picture


async def take(tab: Tab, url: str, name: str, width: int, height: int, theme: str) -> None:
    await tab.themed(theme)
    await tab.sized(width, height)
    await tab.go(url)
    file = HERE / name
    await tab.picture(file, whole=False)
    size = file.stat().st_size
    print(f"{file}: {size} bytes" + (f"; TOO LARGE, at most {LARGEST}" if size > LARGEST else ""))


def known(base: str) -> list[str]:
    """Incidents, the newest first."""
    with urllib.request.urlopen(f"{base}/v1/incidents?state=all", timeout=10) as answer:  # noqa: S310  a daemon of ours
        return [row["id"] for row in json.load(answer)["incidents"]]


async def main(base: str, incidents: list[str]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        async with browsing(Path(directory)) as browser:
            tab = await browser.tab()
            await take(tab, f"{base}/", "page.png", 1280, 1000, "light")
            await take(tab, f"{base}/", "page-dark.png", 1280, 1000, "dark")
            await take(tab, f"{base}/", "page-phone.png", 390, 844, "light")
            if incidents:  # the first one is the story of the demo
                await take(tab, f"{base}/incidents/{incidents[-1]}", "incident-page.png", 1280, 1000, "light")


if __name__ == "__main__":
    if len(sys.argv) != 2 or (lacking := absent()):
        sys.exit(f"usage: python {Path(__file__).name} URL" if len(sys.argv) != 2 else str(lacking))
    daemon = sys.argv[1].rstrip("/")
    asyncio.run(main(daemon, known(daemon)))
