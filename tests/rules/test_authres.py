"""Authentication-Results as real receivers write them; the `authres` package is the oracle on what both can parse."""

from __future__ import annotations

import authres
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.model.mail import UNSAID, Authentication, AuthResult
from monitor.rules.mailauth.authres import MAX_HEADERS, arc_results, authentication, parse, said

PASS, FAIL, NONE, ABSENT = AuthResult.PASS, AuthResult.FAIL, AuthResult.NONE, AuthResult.ABSENT
SOFTFAIL, NEUTRAL, POLICY = AuthResult.SOFTFAIL, AuthResult.NEUTRAL, AuthResult.POLICY
TEMPERROR, PERMERROR = AuthResult.TEMPERROR, AuthResult.PERMERROR

GMAIL = (
    "mx.google.com; dkim=pass header.i=@shop.example header.s=s1 header.b=AbCd1234; dkim=pass header.i=@esp.example header.s=x header.b=Q;"
    " arc=pass (i=1 spf=pass spfdomain=shop.example); spf=pass (google.com: domain of bounce@shop.example designates 192.0.2.1 as permitted"
    " sender) smtp.mailfrom=bounce@shop.example; dmarc=pass (p=REJECT sp=REJECT dis=NONE) header.from=shop.example"
)
OUTLOOK = (
    "spf=pass (sender IP is 192.0.2.1) smtp.mailfrom=shop.example; dkim=pass (signature was verified) header.d=shop.example;"
    "dmarc=bestguesspass action=none header.from=shop.example;compauth=pass reason=109"
)
YAHOO = (
    "atlas-production.v2-mail-prod1-gq1.omega.yahoo.com; dkim=pass header.i=@shop.example header.s=s1; spf=pass smtp.mailfrom=shop.example;"
    " dmarc=pass(p=REJECT) header.from=shop.example;"
)
RSPAMD = (
    "mail.example.org; dkim=pass header.d=shop.example header.s=s1 header.b=abc; spf=softfail (mail.example.org: 192.0.2.1 is neither"
    ' permitted nor denied by domain of "a;b@shop.example") smtp.mailfrom="a;b@shop.example"; dmarc=fail reason="SPF not aligned (relaxed),'
    ' DKIM not aligned; dkim=pass" header.from=shop.example (policy=none)'
)
OPENDKIM = 'mx.example.org;\tdkim=fail reason="signature verification failed" (2048-bit key; unprotected) header.d=shop.example'
OPENDMARC = "mx.example.org; dmarc=pass (p=none dis=none) header.from=shop.example"
POLICYD = "mx.example.org; spf=pass (mailfrom) smtp.mailfrom=shop.example (client-ip=192.0.2.1; helo=mta; envelope-from=a@shop.example)"
ICLOUD = 'bimi.icloud.com; bimi=skipped reason="insufficient dmarc"', "dmarc.icloud.com; dmarc=pass header.from=shop.example"


@pytest.mark.parametrize(
    ("header", "authserv_id", "spf", "dkim", "dmarc"),
    [
        pytest.param(GMAIL, "mx.google.com", PASS, PASS, PASS, id="Gmail"),
        pytest.param(OUTLOOK, "", PASS, PASS, NONE, id="Outlook"),
        pytest.param(YAHOO, "atlas-production.v2-mail-prod1-gq1.omega.yahoo.com", PASS, PASS, PASS, id="Yahoo"),
        pytest.param(RSPAMD, "mail.example.org", SOFTFAIL, PASS, FAIL, id="rspamd"),
        pytest.param(OPENDKIM, "mx.example.org", ABSENT, FAIL, ABSENT, id="OpenDKIM"),
        pytest.param(OPENDMARC, "mx.example.org", ABSENT, ABSENT, PASS, id="OpenDMARC"),
        pytest.param(POLICYD, "mx.example.org", PASS, ABSENT, ABSENT, id="policyd-spf"),
        pytest.param("mx; none", "mx", ABSENT, ABSENT, ABSENT, id="none"),
        pytest.param("mx 1; spf=pass", "mx", PASS, ABSENT, ABSENT, id="version"),
        pytest.param("mx 1;", "mx", ABSENT, ABSENT, ABSENT, id="no result"),
        pytest.param("mx (c (nested ; dkim=pass)) 1 ; spf/1 = PASS (x)", "mx", PASS, ABSENT, ABSENT, id="comments everywhere"),
        pytest.param('"mx.example" ; spf=pass', "mx.example", PASS, ABSENT, ABSENT, id="quoted authserv-id"),
        pytest.param("mx;spf=pass;;;dkim=fail;", "mx", PASS, FAIL, ABSENT, id="empty clauses"),
        pytest.param("mx; spf=pass (never closed; dkim=pass", "mx", PASS, PASS, ABSENT, id="unclosed comment"),
        pytest.param('mx; spf=pass reason="never closed; dkim=fail', "mx", PASS, FAIL, ABSENT, id="unclosed string"),
        pytest.param("mx; dkim=fail header.d=a; dkim=pass header.d=b", "mx", ABSENT, PASS, ABSENT, id="any dkim pass"),
        pytest.param("mx; dkim=neutral header.d=a; dkim=fail header.d=b", "mx", ABSENT, NEUTRAL, ABSENT, id="first dkim otherwise"),
        pytest.param("mx; spf=none smtp.helo=h; spf=pass smtp.mailfrom=a@b", "mx", PASS, ABSENT, ABSENT, id="mailfrom before helo"),
        pytest.param("mx; spf=pass smtp.mail=<a@b>; dkim=hardfail", "mx", PASS, FAIL, ABSENT, id="old words"),
        pytest.param("mx; spf=temperror; dkim=permerror; dmarc=policy", "mx", TEMPERROR, PERMERROR, POLICY, id="the other words"),
        pytest.param("mx; spf=splendid; dkim=; =pass; dmarc pass; pass", "mx", ABSENT, ABSENT, ABSENT, id="nonsense"),
        pytest.param('mx; spf=pass smtp.mailfrom="x; dkim=pass"', "mx", PASS, ABSENT, ABSENT, id="a result in a string is none"),
        pytest.param("mx; spf=fail (x; dkim=pass header.d=a) y", "mx", FAIL, ABSENT, ABSENT, id="a result in a comment is none"),
        pytest.param("mx; spf=pass (a \\) ; dkim=pass)", "mx", PASS, ABSENT, ABSENT, id="escaped parenthesis"),
        pytest.param("mx; spf=pass smtp.mailfrom=ä@ö", "mx", PASS, ABSENT, ABSENT, id="UTF-8"),
        pytest.param("", "", ABSENT, ABSENT, ABSENT, id="empty"),
        pytest.param(";", "", ABSENT, ABSENT, ABSENT, id="semicolon"),
        pytest.param("; spf=pass", "", PASS, ABSENT, ABSENT, id="empty authserv-id"),
        pytest.param("dkim=pass", "", ABSENT, PASS, ABSENT, id="no authserv-id"),
        pytest.param("X-DKIM=pass; xdkim=pass", "", ABSENT, ABSENT, ABSENT, id="other methods"),
    ],
)
def test_parse(header: str, authserv_id: str, spf: AuthResult, dkim: AuthResult, dmarc: AuthResult) -> None:
    parsed = parse(header)
    assert parsed.authserv_id == authserv_id
    found = [parsed.of(method) or ABSENT for method in ("spf", "dkim", "dmarc")]
    assert found == [spf, dkim, dmarc]


TRUSTED = ("mx.example.org",)
SPF_PASS, SPF_FAIL = "mx.example.org; spf=pass", "mx.example.org; spf=fail"


@pytest.mark.parametrize(
    ("headers", "trusted", "expected"),
    [
        pytest.param([OPENDMARC, POLICYD, OPENDKIM], TRUSTED, Authentication(PASS, FAIL, PASS, "mx.example.org"), id="one header a milter"),
        pytest.param([SPF_FAIL, SPF_PASS], TRUSTED, Authentication(FAIL, authserv_id="mx.example.org"), id="a forged one below loses"),
        pytest.param(["evil; spf=pass", SPF_FAIL], TRUSTED, Authentication(FAIL, authserv_id="mx.example.org"), id="a stranger on top"),
        pytest.param(["evil; spf=pass"], TRUSTED, UNSAID, id="a stranger alone"),
        pytest.param([OUTLOOK], TRUSTED, UNSAID, id="no authserv-id, not trusted"),
        pytest.param([OUTLOOK], ("",), UNSAID, id="an empty entry trusts nobody"),
        pytest.param([OUTLOOK], ("*",), Authentication(PASS, PASS, NONE, ""), id="no authserv-id, topmost trusted"),
        pytest.param([OUTLOOK, "spf=fail; dkim=fail; dmarc=pass"], ("*",), Authentication(PASS, PASS, NONE, ""), id="only the topmost"),
        pytest.param(["x; spf=pass", "y; dkim=pass"], ("*",), Authentication(PASS, authserv_id="x"), id="a method only a lower one has"),
        pytest.param(["x; spf=fail", SPF_PASS], ("*", "mx.example.org"), Authentication(FAIL, authserv_id="x"), id="topmost and a name"),
        pytest.param([YAHOO], ("*.yahoo.com",), Authentication(PASS, PASS, PASS, YAHOO.partition(";")[0]), id="a farm"),
        pytest.param(["yahoo.com; spf=pass"], ("*.yahoo.com",), UNSAID, id="a farm is not its domain"),
        pytest.param(["evilyahoo.com; spf=pass"], ("*.yahoo.com",), UNSAID, id="nor what ends like it"),
        pytest.param(["MX.Example.ORG.; spf=pass"], TRUSTED, Authentication(PASS, authserv_id="MX.Example.ORG."), id="case and final dot"),
        pytest.param(list(ICLOUD), ("*.icloud.com",), Authentication(dmarc=PASS, authserv_id="bimi.icloud.com"), id="iCloud"),
        pytest.param([GMAIL], (), UNSAID, id="nobody is trusted"),
        pytest.param([], TRUSTED, UNSAID, id="no header"),
        pytest.param(["x"] * MAX_HEADERS + [SPF_PASS], TRUSTED, UNSAID, id="bounded"),
    ],
)
def test_authentication(headers: list[str], trusted: tuple[str, ...], expected: Authentication) -> None:
    assert authentication(headers, trusted) == expected


@pytest.mark.parametrize(
    ("headers", "unparsed"),
    [
        ([GMAIL, OUTLOOK, YAHOO, "mx; none", "mx; bimi=skipped", "mx; spf=splendid"], 0),
        (["", "mx", "mx 1;", "mx; pass", "hello world", "()"], 6),
        (["mx.example.org; spf=pass", "mx.example.org; gibberish"], 1),
    ],
)
def test_what_cannot_be_read_is_counted(headers: list[str], unparsed: int) -> None:
    assert said(headers, TRUSTED).unparsed == unparsed


def test_strangers_are_named_once_and_in_order() -> None:
    found = said(["evil; spf=pass", SPF_PASS, OUTLOOK, "evil; dkim=pass", "b; dkim=pass"], TRUSTED)
    assert found.untrusted == ("evil", "", "b")
    assert len(said(["x" * 5000 + "; spf=pass"], TRUSTED).untrusted[0]) <= 255


@pytest.mark.parametrize(
    ("value", "instance", "authserv_id", "spf"),
    [
        ("i=1; mx.google.com; spf=pass smtp.mailfrom=a@b.example", 1, "mx.google.com", PASS),
        (" I = 12 ;mx.example.org; spf=fail", 12, "mx.example.org", FAIL),
        ("i=2; spf=pass (sender IP is 192.0.2.1) smtp.mailfrom=b.example; dkim=none", 2, "", PASS),
        ("mx.example.org; spf=pass", 0, "mx.example.org", PASS),
        ("i=x; mx.example.org; spf=pass", 0, "", PASS),
        ("i=1", 1, "", None),
        ("", 0, "", None),
    ],
)
def test_arc_results(value: str, instance: int, authserv_id: str, spf: AuthResult | None) -> None:
    found, header = arc_results(value)
    assert (found, header.authserv_id, header.of("spf")) == (instance, authserv_id, spf)


@pytest.mark.hostile
@given(st.text(max_size=300))
@settings(max_examples=80, deadline=None)
def test_any_text(text: str) -> None:
    parse(text)
    authentication([text], ["*", text])
    said([text, text], ["*"])
    arc_results(text)


SHREDS = [*("mx", ";", "=", " ", "(", ")", '"', "\\", "spf", "dkim", "dmarc", "pass", "fail", "none", "1", "/", ".", "header.d", "\n", "é")]


@pytest.mark.hostile
@given(st.lists(st.sampled_from(SHREDS), max_size=60).map("".join))
@settings(max_examples=80, deadline=None)
def test_any_heap_of_shreds(text: str) -> None:
    assert len(parse(text).results) <= 100


@pytest.mark.hostile
@pytest.mark.timeout(10)
@pytest.mark.parametrize("piece", ["(", ")", "(;", '"', '";', "\\", ";", "=", "a=", "a=b;", " ", "(\\", "(()();", "(()"])
def test_no_shred_explodes(piece: str) -> None:
    authentication([piece * (200_000 // len(piece))] * 100, ["*", "mx"])


tokens = st.from_regex(r"[a-z][a-z0-9]{0,8}", fullmatch=True)
domains = st.builds("{}.{}".format, tokens, tokens)
results = st.sampled_from(["pass", "fail", "none", "neutral", "temperror", "permerror"])
comments = st.sampled_from(["", " (c)", " (a (b) c)", " (x; y=z)"])
dkim = st.builds("dkim={}{} header.d={}".format, results, comments, domains)
spf = st.builds("spf={}{} smtp.mailfrom={}".format, results, comments, domains)
dmarc = st.builds("dmarc={}{} header.from={}".format, st.sampled_from(["pass", "fail", "none"]), comments, domains)
valid = st.builds(lambda who, parts: "; ".join([who, *parts]), domains, st.lists(st.one_of(dkim, spf, dmarc), min_size=1, max_size=5))


@pytest.mark.hostile
@given(valid)
@settings(max_examples=100, deadline=None)
def test_the_oracle_agrees_on_valid_headers(value: str) -> None:
    oracle = authres.AuthenticationResultsHeader.parse(f"Authentication-Results: {value}")
    ours = parse(value)
    assert ours.authserv_id == oracle.authserv_id
    assert [(method, result.value) for method, result, _ in ours.results] == [(r.method, r.result) for r in oracle.results]
