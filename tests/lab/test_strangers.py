"""v4 of the toy shop: a job that mails people who never bought anything."""

import aiohttp
import pytest

from monitor.lab.configuration import configuration
from monitor.lab.world import Lab, LabSpec

STRANGERS = ("Never.Bought@aurora.test", "nor.did.i@cumulus.test")
REFUND = {
    "synthetic": True,
    "refund": {"amount": "1.00", "currency": "GBP", "number": "R-1", "order": "O-1"},
    "customer": {"name": "Ann", "email": "seed1@aurora.test"},
}


def mails(lab: Lab, address: str) -> list[bytes]:
    return [message.raw for message in lab.store.resolve(address).folders["INBOX"].messages]


async def post(lab: Lab, key: str) -> dict[str, str]:
    async with (
        aiohttp.ClientSession() as http,
        http.post(lab.description.shop_url, json=REFUND, headers={"Idempotency-Key": key}) as answer,
    ):
        assert answer.status == 202
        return dict(await answer.json())


@pytest.mark.asyncio
async def test_only_v4_mails_strangers_at_the_deploy_and_beside_each_refund() -> None:
    async with Lab(LabSpec(mailboxes_per_provider=1, strangers=STRANGERS)) as lab:
        for version in ("v1", "v2", "v3"):
            lab.deploy(version)
            await post(lab, version)
        assert all(not mails(lab, address) for address in STRANGERS)
        lab.deploy("v4")
        assert [len(mails(lab, address)) for address in STRANGERS] == [1, 1]
        assert (await post(lab, "v4"))["version"] == "v4"
        await post(lab, "v4")  # the same key again: the job does not run again either
        assert [len(mails(lab, address)) for address in STRANGERS] == [2, 2]
        assert mails(lab, "seed1@aurora.test")[-1].count(b"R-1") >= 1, "the customer gets the right mail"
        first, second = mails(lab, STRANGERS[0])
        assert b"refund RF-" in first and b"dkim=pass header.d=shop.test" in first and b"X-Mailcanary-Token" not in first
        assert first.partition(b"Refund number")[2] != second.partition(b"Refund number")[2], "each is a refund of its own"


@pytest.mark.asyncio
async def test_a_configuration_makes_tripwires_of_them() -> None:
    async with Lab(LabSpec(mailboxes_per_provider=1, strangers=STRANGERS)) as lab:
        assert lab.description.strangers == ("never.bought@aurora.test", "nor.did.i@cumulus.test")
        tree = configuration(lab.description.as_json(), "secret", "state")  # type: ignore[arg-type]
    boxes = {name: (box.get("role"), box["address"]) for name, box in tree["mailboxes"].items()}
    assert boxes == {
        "aurora-1": (None, "seed1@aurora.test"),
        "borealis-1": (None, "seed1@borealis.test"),
        "cumulus-1": (None, "seed1@cumulus.test"),
        "tripwire-1": ("tripwire", "never.bought@aurora.test"),
        "tripwire-2": ("tripwire", "nor.did.i@cumulus.test"),
        "holding": ("holding", "holding@store.shop.test"),
    }
    assert tree["sending_domains"] == ["shop.test"]


def test_a_stranger_needs_a_provider_of_the_lab() -> None:
    with pytest.raises(ValueError, match="no provider"):
        LabSpec(strangers=("me@real.example",))
