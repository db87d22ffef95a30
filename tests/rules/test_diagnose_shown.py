"""Confidence, and what stands against a diagnosis, as documents and people get them."""

from __future__ import annotations

from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from monitor.model.incident import Confidence
from monitor.surface.incidents import incident_story
from monitor.surface.story import print_incident
from tests.stages.house import House, policy
from tests.stages.virtual import virtual
from tests.surface import happenings as so
from tests.surface.happenings import HOSTILE, INC

SURE = replace(so.DIAGNOSIS, confidence=Confidence.MEDIUM, against=("bare-smtp: no evidence since then", HOSTILE))


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(so.with_channels(policy(tmp_path)))


def printed(document: Any) -> str:
    console = Console(file=StringIO(), width=200)
    print_incident(document, console)
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


@virtual
async def test_both_are_told_masked_and_cannot_steer_a_terminal(house: House) -> None:
    await house.journal.append([so.opened(house.clock.now(), diagnosis=SURE)])
    document: Any = incident_story(house.desk, house.desk.world.incidents.known[INC])
    assert document["diagnosis"]["confidence"] == "medium"
    assert document["diagnosis"]["against"][0] == SURE.against[0]
    assert "seed+tag@" not in document["diagnosis"]["against"][1]
    shown = printed(document)
    assert "application, confidence medium: " in shown
    assert "bare-smtp: no evidence since then" in shown
    assert "\x1b[2J" not in shown
    assert "87654321" not in shown


@virtual
async def test_what_an_older_image_wrote_says_nothing_of_them(house: House) -> None:
    await house.journal.append([so.opened(house.clock.now())])
    document: Any = incident_story(house.desk, house.desk.world.incidents.known[INC])
    assert (document["diagnosis"]["confidence"], document["diagnosis"]["against"]) == (None, [])
    assert "confidence" not in printed(document)
    older = document["diagnosis"]
    del older["confidence"], older["against"]
    assert "against" not in printed(document)
