"""/v1/domains, over a socket: documents, roles, refusals, and that what people say becomes a fact."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from monitor.model.checks import CheckId
from monitor.model.facts import Baselined, Delivered, InspectionAsked, MailProved, ZoneObserved
from monitor.model.inspection import Cause, DomainPolicy, Facet, FacetKind, InspectPolicy
from monitor.model.instant import Instant
from monitor.model.mail import Authentication, AuthResult
from monitor.model.mailauth import DeliveredMail, MailProof, SignatureProof, SignatureState
from monitor.model.policy import Access, Policy
from monitor.model.probe import MailboxName, PathName, ProbeId, Route
from monitor.surface.audit.observed import digest
from tests.surface.audited import ESC, SPF, bad
from tests.surface.premises import SECRETS, Site, rules, served

DOCUMENT: dict[str, Any] = yaml.safe_load((Path(__file__).parents[2] / "config" / "openapi.yaml").read_text())
FACETS = (Facet(FacetKind.SPF, "shop.test", "192.0.2.10 -all", 3600), Facet(FacetKind.MX, "shop.test", "10 mx.shop.test", 3600))
OTHER = (replace(FACETS[0], value="198.51.100.1 -all"), FACETS[1])
SHOP = "/v1/domains/shop.test"


def policy(directory: Path, host: str = "127.0.0.1", enabled: bool = True) -> Policy:
    inspect = InspectPolicy(
        enabled=enabled, domains={"shop.test": DomainPolicy("shop.test"), "b.test": DomainPolicy("b.test", ("192.0.2.9",))}
    )
    return replace(rules(directory, host), inspect=inspect)


def observed(site: Site, facets: tuple[Facet, ...] = FACETS, **changes: Any) -> ZoneObserved:
    fact = ZoneObserved(
        site.clock.now(), "shop.test", Cause.SCHEDULE, bad(), (CheckId.SPF_01, CheckId.DMARC_01), facets, asked=31, failed=2
    )  # fmt: skip
    return replace(fact, **changes)


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with served(policy(tmp_path)) as site:
        yield site


def fits(name: str, answer: Any) -> Any:
    jsonschema.validate(answer, {"$ref": f"#/components/schemas/{name}", "components": DOCUMENT["components"]})
    json.dumps(answer, allow_nan=False)
    return answer


async def test_before_the_first_inspection(site: Site) -> None:
    status, answer = await site.get("/v1/domains")
    assert status == 200 and [(row["domain"], row["verdict"]) for row in fits("Domains", answer)["domains"]] == [
        ("b.test", "inconclusive"),
        ("shop.test", "inconclusive"),
    ]
    status, story = await site.get(SHOP)
    assert status == 200 and fits("Domain", story)["audit"]["blind"] == "it was not inspected yet"
    assert story["inspected_at"] is None and story["digest"] == "" and story["baseline"]["approved_by"] is None


async def test_what_an_inspection_saw(site: Site) -> None:
    await site.happen(observed(site, learned=True))
    _, answer = await site.get("/v1/domains")
    row = next(row for row in fits("Domains", answer)["domains"] if row["domain"] == "shop.test")
    assert (row["verdict"], row["counts"]["critical"], row["counts"]["pass"], row["blind"]) == ("fail", 1, 2, "")
    assert any(line.startswith("Gmail: ") and "SPF-07" in line for line in row["answers"])
    _, story = await site.get("/v1/domains/SHOP.test.")
    audit = fits("Domain", story)["audit"]
    assert audit["questions"] == {"asked": 31, "failed": 2} and audit["results"][0]["id"] == "SPF-07"
    assert {row["id"] for row in audit["results"] if row["status"] == "pass"} == {"SPF-01", "DMARC-01"}
    assert story["digest"] == digest(FACETS) == story["baseline"]["digest"]  # the first one is the baseline, which nobody approved
    assert story["baseline"]["approved_by"] is None and len(story["baseline"]["facets"]) == 2


async def test_blind_keeps_what_was_seen(site: Site) -> None:
    await site.happen(observed(site), observed(site, (), results=(), passed=(), blind=f"no resolver answers {ESC}"))
    _, story = await site.get(SHOP)
    assert story["audit"]["verdict"] == "fail" and story["blind_since"] and "no resolver answers" in fits("Domain", story)["blind_why"]
    assert "\x1b" not in json.dumps(story, ensure_ascii=False)
    _, answer = await site.get("/v1/domains")
    assert "no resolver answers" in answer["domains"][1]["blind"]


async def test_declared_addresses_are_told_from_learned_ones(site: Site) -> None:
    _, story = await site.get("/v1/domains/b.test")
    assert (
        story["learned"]["egress"] == ["192.0.2.9"] and story["learned"]["declared"] and story["audit"]["egress"]["from"] == "configuration"
    )
    _, story = await site.get(SHOP)
    assert not story["learned"]["declared"] and story["audit"]["egress"]["from"] == "unknown"


async def test_what_we_found_on_delivered_mail(site: Site) -> None:
    """The latest proof of each route, beside the receiver's word; no local part and no escape comes through."""
    at = site.clock.now()
    route = Route(PathName("relay"), MailboxName("seed-1"))
    mail = DeliveredMail(("shop.test",), said=Authentication(AuthResult.PASS, AuthResult.FAIL, AuthResult.FAIL, "mx.box.test"))
    signature = SignatureProof(
        "shop.test", f"s1{ESC}", "rsa-sha256", SignatureState.BODY_ALTERED, "the body is not the one that was signed"
    )
    proof = MailProof(AuthResult.PASS, "shop.test", "192.0.2.9", "ann.smith@shop.test is fine", (signature,))
    seq = site.desk.world.seq + 1
    await site.happen(Delivered(at, ProbeId("p1"), route, route.mailbox, mail), MailProved(at, ProbeId("p1"), route, seq, proof, at.utc))
    _, story = await site.get(SHOP)
    (shown,) = fits("Domain", story)["mails"]
    assert (shown["route"], shown["spf"]["result"], [one["state"] for one in shown["dkim"]]) == ("relay/seed-1", "pass", ["body_altered"])
    assert shown["receiver"] == {"spf": "pass", "dkim": "fail", "dmarc": "fail", "authserv_id": "mx.box.test"}
    assert "ann.smith" not in json.dumps(story) and "\x1b" not in json.dumps(story, ensure_ascii=False)


async def test_inspect_now(site: Site) -> None:
    status, story = await site.post(f"{SHOP}/inspect", {"by": "ann"})
    fact = site.facts()[-1]
    assert (
        status == 202
        and fits("Domain", story)["asked"]
        and isinstance(fact, InspectionAsked)
        and (fact.domain, fact.by) == ("shop.test", "ann")
    )
    await site.happen(observed(site))
    assert not (await site.get(SHOP))[1]["asked"]


async def test_approve_what_was_seen(site: Site) -> None:
    await site.happen(observed(site), observed(site, OTHER))
    status, story = await site.post(f"{SHOP}/baseline", {"by": "ann", "digest": digest(OTHER), "note": "moved"})
    fact = site.facts()[-1]
    assert status == 200 and isinstance(fact, Baselined) and (fact.facets, fact.by, fact.note) == (OTHER, "ann", "moved")
    baseline = fits("Domain", story)["baseline"]
    assert (baseline["digest"], baseline["approved_by"], baseline["note"]) == (digest(OTHER), "ann", "moved")


async def test_another_observation_is_not_approved(site: Site) -> None:
    await site.happen(observed(site), observed(site, OTHER))
    status, answer = await site.post(f"{SHOP}/baseline", {"by": "ann", "digest": digest(FACETS)})
    assert status == 409 and digest(OTHER) in answer["reason"] and "Baselined" not in site.kinds()


def test_a_digest_is_of_what_matters() -> None:
    assert digest(FACETS) == digest(tuple(replace(facet, ttl=5) for facet in reversed(FACETS))) != digest(OTHER) != digest(())


REFUSED: dict[str, tuple[str, str, object, int, str]] = {
    "unknown": ("GET", "/v1/domains/x.test", None, 404, "there are b.test, shop.test"),
    "unknown, escaped": ("GET", "/v1/domains/%1b%5b31m", None, 404, "no domain"),
    "inspect unknown": ("POST", "/v1/domains/x.test/inspect", {"by": "ann"}, 404, "no domain"),
    "approve unknown": ("POST", "/v1/domains/x.test/baseline", {"by": "ann", "digest": "0" * 32}, 404, "no domain"),
    "approve unseen": ("POST", f"{SHOP}/baseline", {"by": "ann", "digest": "0" * 32}, 409, "not inspected yet"),
    "nobody": ("POST", f"{SHOP}/inspect", {"by": ""}, 400, "by"),
    "more": ("POST", f"{SHOP}/inspect", {"by": "ann", "x": 1}, 400, "x"),
    "no digest": ("POST", f"{SHOP}/baseline", {"by": "ann"}, 400, "digest"),
    "bad digest": ("POST", f"{SHOP}/baseline", {"by": "ann", "digest": "../x"}, 400, "digest"),
    "long note": ("POST", f"{SHOP}/baseline", {"by": "ann", "digest": "0" * 32, "note": "x" * 501}, 400, "at most 500 characters"),
}


@pytest.mark.parametrize("name", REFUSED)
async def test_refused(site: Site, name: str) -> None:
    method, path, body, wanted, why = REFUSED[name]
    status, answer = await site.ask(method, path, json=body) if body is not None else await site.get(path)
    assert status == wanted and why in answer["reason"] and not site.facts()


async def test_switched_off(tmp_path: Path) -> None:
    async with served(policy(tmp_path, enabled=False)) as site:
        status, answer = await site.post(f"{SHOP}/inspect", {"by": "ann"})
        assert status == 409 and "inspect.enabled" in answer["reason"]


async def test_a_domain_that_left_the_configuration(site: Site) -> None:
    await site.happen(observed(site, domain="old.test"))
    assert (await site.get("/v1/domains/old.test"))[0] == 200
    status, answer = await site.post("/v1/domains/old.test/inspect", {"by": "ann"})
    assert status == 409 and "no longer inspected" in answer["reason"]


READERS = tuple(role for role in Access if role is not Access.ROLLBACK)
CALLS: list[tuple[str, str, tuple[Access, ...], dict[str, str] | None]] = [
    ("GET", "/v1/domains", READERS, None),
    ("GET", SHOP, READERS, None),
    ("POST", f"{SHOP}/inspect", (Access.DEPLOY, Access.ONCALL), {"by": "ann"}),
    ("POST", f"{SHOP}/baseline", (Access.ONCALL,), {"by": "ann", "digest": digest(FACETS)}),
]


@pytest.mark.parametrize(("method", "path", "allowed", "body"), CALLS)
async def test_roles(tmp_path: Path, method: str, path: str, allowed: tuple[Access, ...], body: dict[str, str] | None) -> None:
    async with served(policy(tmp_path, "0.0.0.0")) as site:
        await site.happen(observed(site))
        for role in Access:
            status, _ = await site.ask(method, path, SECRETS[role.name], json=body)
            assert (status < 300) == (role in allowed) and (role in allowed or status == 403), role
        assert (await site.ask(method, path, "wrong", json=body))[0] == 401
        assert (await site.ask(method, path, "", json=body))[0] == 401


async def test_a_passed_check_is_no_finding(site: Site) -> None:
    await site.happen(observed(site, results=(SPF.noted("shop.test", "x"),), at=Instant(0.0, 0.0, "p")))
    _, story = await site.get(SHOP)
    assert story["audit"]["verdict"] == "pass" and story["inspected_at"] == "1970-01-01T00:00:00.000Z"
