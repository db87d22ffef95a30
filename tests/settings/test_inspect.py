"""The section `inspect:`."""
# ruff: noqa: E501

from __future__ import annotations

import pytest

from monitor.model.checks import Profile
from monitor.model.inspection import MOST_DOMAINS, DomainPolicy, InspectPolicy
from tests.settings.conftest import GOOD, changed

WHOLE = """\
inspect:
  every: 30m
  resolvers: ["192.0.2.53", 192.0.2.54:5353, "2001:DB8::53", "[2001:db8::54]:5353", "192.0.2.53"]
  timeout: 2s
  port: 5300
  transport: false
  smtp_port: 2500
  private_addresses: true
  domains:
    Shop.Example.:
      egress: [192.0.2.10, "2001:DB8:0::10", 192.0.2.10]
      selectors: [S1, k2._sub]
      retired: [s0]
      envelope: [Bounces.shop.example]
      helo: [mail.shop.example]
      profiles: [gmail, protected]
      recipients: [Postmaster@Shop.example]
"""


def test_left_out_it_inspects_the_sending_domains(read):
    policy = read(GOOD).policy
    assert policy.inspect == InspectPolicy(domains={"example.com": DomainPolicy("example.com")})
    both = read(changed(("", "sending_domains: [example.org, example.net]\ninspect: {domains: {example.net: {egress: ['192.0.2.1']}}}\n")))
    assert dict(both.policy.inspect.domains) == {
        "example.net": DomainPolicy("example.net", egress=("192.0.2.1",)),
        "example.org": DomainPolicy("example.org"),
    }


def test_all_of_it(read):
    inspect = read(changed(("", WHOLE))).policy.inspect
    shop = inspect.domains["shop.example"]
    assert shop == DomainPolicy(
        "shop.example",
        egress=("192.0.2.10", "2001:db8::10"),
        selectors=("s1", "k2._sub"),
        retired=("s0",),
        envelope=("bounces.shop.example",),
        helo=("mail.shop.example",),
        profiles=(Profile.GMAIL, Profile.PROTECTED),
        recipients=("Postmaster@shop.example",),
    )
    assert inspect.resolvers == ("192.0.2.53", "192.0.2.54:5353", "2001:db8::53", "[2001:db8::54]:5353")
    assert list(inspect.domains) == ["shop.example", "example.com"]
    assert (inspect.every, inspect.timeout, inspect.port, inspect.smtp_port) == (1800, 2, 5300, 2500)
    assert (inspect.transport, inspect.private_addresses, inspect.enabled) == (False, True, True)


def test_it_is_part_of_the_hash(read):
    texts = ["inspect: {enabled: false}\n", "inspect: {every: 1h}\n", "inspect: {domains: {example.com: {selectors: [s1]}}}\n"]
    assert len({read(changed(("", text))).policy.policy_hash for text in ["", *texts]}) == 4
    assert read(changed(("", "inspect: {every: 15m}\n"))).policy == read(GOOD).policy


RESOLVER = "write 192.0.2.53, 192.0.2.53:5353, 2001:db8::53 or [2001:db8::53]:5353; a name would have to be resolved itself"
FAULTS = [
    ("{every: 0s}", "every: is out of bounds; write 1s to 1d"),
    ("{evry: 1m}", "evry: unknown key; did you mean every?"),
    ("{enabled: 'no'}", "enabled: is neither true nor false"),
    ("{resolvers: [dns.example.com]}", f"resolvers.0: is no address of a DNS server; {RESOLVER}"),
    ("{resolvers: ['192.0.2.53:99999']}", "resolvers.0: has a port that there is not"),
    ("{resolvers: ['192.0.2.53:0']}", "resolvers.0: has a port that there is not"),
    ("{resolvers: ['[192.0.2.53]:53']}", "resolvers.0: is no address of a DNS server"),
    ("{resolvers: ['192.0.2.530']}", "resolvers.0: is no address of a DNS server"),
    ("{resolvers: [1]}", "resolvers.0: is a number where the address of a DNS server is wanted"),
    ("{domains: {com: {}}}", "inspect.domains.com: is a top-level domain"),
    ("{domains: {'a b': {}}}", "is no domain"),
    ("{domains: {shop.test: {egress: [192.0.2.0/24]}}}", "egress.0: is no IP address; write one like 192.0.2.1 or 2001:db8::1; of a network, each address"),
    ("{domains: {shop.test: {selectors: ['s1._domainkey.shop.test']}}}", "selectors.0: is a whole name; write only what stands before ._domainkey"),
    ("{domains: {shop.test: {selectors: ['a b']}}}", "selectors.0: is no selector"),
    ("{domains: {shop.test: {selectors: [2026]}}}", 'selectors.0: is a number where a selector is wanted; write it in quotes: "2026"'),
    ("{domains: {shop.test: {selectors: [s1], retired: [S1]}}}", "inspect.domains.shop.test.retired.0: stands under selectors too; keep it in one of them"),
    ("{domains: {shop.test: {profiles: []}}}", "profiles: is empty"),
    ("{domains: {shop.test: {profiles: [gmial]}}}", "profiles.0: is not one of the known words; did you mean gmail?"),
    ("{domains: {shop.test: {recipients: [postmaster]}}}", "recipients.0: is no mail address"),
    ("{domains: {shop.test: {}, Shop.test.: {}}}", "is shop.test once more (case and a final dot do not count); keep one of them"),
    ("{domains: [shop.test]}", "domains: is a list where"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "says"), FAULTS, ids=[text for text, _ in FAULTS])
def test_a_fault_has_its_line_and_mend(faults, text, says):
    (line,) = faults(changed(("", f"inspect: {text}\n")))
    assert line.startswith("config.yaml:24: inspect.") and says in line, line
    assert "; " in line


def test_too_many_domains(faults):
    many = "".join(f"    d{number}.test: {{}}\n" for number in range(MOST_DOMAINS + 1))
    (line,) = faults(changed(("", f"inspect:\n  domains:\n{many}")))
    assert f"names more than {MOST_DOMAINS} domains" in line
