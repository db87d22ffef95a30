"""init: who is asked for what, and what is guessed. Nothing is tried here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from monitor.cli import UsageError, _parser
from monitor.cli.setup.answers import Answers, Server
from monitor.cli.setup.interview import MAX_MAILBOXES, Interview
from monitor.cli.setup.providers import PROVIDERS, guesses, name_for, provider_of
from monitor.model.address import Address, Domain
from monitor.model.policy import LoginMethod, Security

RELAY = ("--relay", "smtp.shop.example", "--author", "refunds@shop.example")
SECRETS = {f"MAILCANARY_INIT_MAILBOX_{number}_PASSWORD": f"pass {number}" for number in range(1, 4)}


@dataclass
class FakePerson:
    """Answers by what is asked: (words of the question, answer), each used once, in order; the default otherwise."""

    script: list[tuple[str, str]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    def say(self, text: str) -> None:
        self.said.append(text)

    def ask(self, question: str, default: str) -> str:
        self.asked.append(f"{question} [{default}]")
        return self._answer(question) or default

    def ask_secret(self, question: str) -> str:
        self.asked.append(question)
        return self._answer(question)

    def _answer(self, question: str) -> str:
        for place, (words, answer) in enumerate(self.script):
            if words in question:
                del self.script[place]
                return answer
        return ""


def interview(*words: str, environ: dict[str, str] | None = None, person: FakePerson | None = None) -> Interview:
    return Interview(_parser().parse_args(["init", *words]), SECRETS | (environ or {}), person)


def seeds(*addresses: str) -> list[str]:
    return [word for address in addresses for word in ("--mailbox", address)]


def hosts(answers: Answers, number: int = 0) -> list[str]:
    return [server.host for server in answers.seeds[number].servers]


# --- what is guessed ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "provider", "host"),
    [
        ("a@gmail.com", "gmail", "imap.gmail.com"),
        ("a@GoogleMail.com", "gmail", "imap.gmail.com"),
        ("a@hotmail.co.uk", "outlook", "outlook.office365.com"),
        ("a@yahoo.de", "yahoo", "imap.mail.yahoo.com"),
        ("a@me.com", "icloud", "imap.mail.me.com"),
        ("a@fastmail.com", "fastmail", "imap.fastmail.com"),
        ("a@gmx.de", "gmx", "imap.gmx.net"),
        ("a@gmx.com", "gmx", "imap.gmx.com"),
    ],
)
def test_well_known_providers(address: str, provider: str, host: str) -> None:
    answers = interview(*RELAY, *seeds(address), environ={"MAILCANARY_INIT_MAILBOX_1_TOKEN_COMMAND": "token"}).answers()
    assert (answers.seeds[0].provider, answers.seeds[0].name, hosts(answers)) == (provider, f"{provider}-1", [host])
    assert answers.seeds[0].servers[0].security is Security.TLS


def test_the_table_of_providers_is_sound() -> None:
    domains = [domain for provider in PROVIDERS for domain in provider.domains]
    assert len(domains) == len(set(domains))
    for provider in PROVIDERS:
        assert Domain.parse(provider.host).name == provider.host
        assert name_for(Domain.parse(f"{provider.name}.test")) == provider.name, "a name that can stand in the configuration"
        assert (provider.login is LoginMethod.XOAUTH2) == ("XOAUTH2" in provider.note)


def test_a_domain_of_ones_own_behind_a_known_server() -> None:
    answers = interview(*RELAY, *seeds("canary@shop.example"), "--imap", "IMAP.gmail.com").answers()
    assert answers.seeds[0].provider == "gmail"
    provider = provider_of(Address.parse("a@shop.example"), "imap.gmail.com")
    assert provider is not None and "app password" in provider.note


def test_an_unknown_domain() -> None:
    answers = interview(*RELAY, *seeds("canary@mail.shop.example")).answers()
    assert (
        hosts(answers)
        == ["imap.mail.shop.example", "mail.mail.shop.example", "mail.shop.example"]
        == list(guesses(Domain("mail.shop.example")))
    )
    assert answers.seeds[0].name == "shop-1"


@pytest.mark.parametrize(
    ("domain", "name"),
    [("aurora.test", "aurora"), ("mail.shop.co.uk", "shop"), ("x.y", "x"), ("xn--bcher-kva.example", "xn--bcher-kva"), ("a_b.com", "a-b")],
)
def test_names_out_of_domains(domain: str, name: str) -> None:
    assert name_for(Domain.parse(domain)) == name


@pytest.mark.parametrize(
    ("relay", "security"),
    [("smtp.x.test", "starttls"), ("smtp.x.test:587", "starttls"), ("smtp.x.test:465", "tls"), ("smtp.x.test:25", "plain")],
)
def test_how_a_relay_is_usually_spoken_to(relay: str, security: str) -> None:
    answers = interview("--relay", relay, "--author", "a@x.test", *seeds("a@gmail.com")).answers()
    assert answers.relay is not None and answers.relay.server.security.value == security
    chosen = interview("--relay", relay, "--author", "a@x.test", "--relay-security", "tls", *seeds("a@gmail.com")).answers()
    assert chosen.relay is not None and chosen.relay.server.security is Security.TLS


def test_servers_in_the_order_of_the_mailboxes() -> None:
    boxes = seeds("a@x.test", "b@y.test", "c@z.test")
    both = interview(*RELAY, *boxes, "--imap", "one:1993", "--imap", "[::1]:143", "--imap-security", "starttls").answers()
    assert [seed.servers[0] for seed in both.seeds[:2]] == [
        Server("one", 1993, Security.STARTTLS),
        Server("::1", 143, Security.STARTTLS),
    ]
    assert hosts(both, 2)[0] == "imap.z.test", "there is none for the third"
    shared = interview(*RELAY, *boxes, "--imap", "one").answers()
    assert [hosts(shared, number) for number in range(3)] == [["one"]] * 3


def test_outlook_wants_a_program_that_prints_a_token() -> None:
    boxes = seeds("a@outlook.com")
    with pytest.raises(UsageError, match=r"\$MAILCANARY_INIT_MAILBOX_1_TOKEN_COMMAND is missing"):
        interview(*RELAY, *boxes).answers()
    answers = interview(*RELAY, *boxes, environ={"MAILCANARY_INIT_MAILBOX_1_TOKEN_COMMAND": "oauth2 token"}).answers()
    assert (answers.seeds[0].login, answers.seeds[0].password) == (LoginMethod.XOAUTH2, "oauth2 token")
    environ = {"MAILCANARY_INIT_MAILBOX_1_TOKEN_COMMAND": "bin/oauth2 'for us'"}
    named = interview(*RELAY, *boxes, environ=environ).answers().seeds[0].password
    assert named == f"{Path('bin/oauth2').absolute()} 'for us'", "given from here, run from elsewhere"
    with pytest.raises(UsageError, match="TOKEN_COMMAND: No closing quotation; write it as in a shell"):
        interview(*RELAY, *boxes, environ={"MAILCANARY_INIT_MAILBOX_1_TOKEN_COMMAND": "a 'b"}).answers()


# --- nobody to ask ------------------------------------------------------------------------------------------------------


def test_everything_from_the_environment() -> None:
    answers = interview(
        environ={
            "MAILCANARY_INIT_RELAY": "smtp.shop.example:465",
            "MAILCANARY_INIT_RELAY_SECURITY": "starttls",
            "MAILCANARY_INIT_RELAY_USER": "canary",
            "MAILCANARY_INIT_RELAY_PASSWORD": "p",
            "MAILCANARY_INIT_AUTHOR": "refunds@shop.example",
            "MAILCANARY_INIT_APP_URL": "https://shop.example/refunds",
            "MAILCANARY_INIT_APP_AUTHORIZATION": "Bearer x",
            "MAILCANARY_INIT_MAILBOXES": "a@gmail.com, b@fastmail.com",
            "MAILCANARY_INIT_IMAP": "one two:143",
            "MAILCANARY_INIT_ENVIRONMENT": "staging",
            "MAILCANARY_INIT_CA_FILE": "ca.pem",
        }
    ).answers()
    assert answers.relay is not None and answers.shop is not None
    assert (answers.relay.user, answers.relay.password, str(answers.relay.author)) == ("canary", "p", "refunds@shop.example")
    assert (answers.shop.url, answers.shop.authorization) == ("https://shop.example/refunds", "Bearer x")
    assert [str(seed.address) for seed in answers.seeds] == ["a@gmail.com", "b@fastmail.com"]
    assert [seed.servers[0] for seed in answers.seeds] == [Server("one", None, Security.TLS), Server("two", 143, Security.STARTTLS)]
    assert [seed.password for seed in answers.seeds] == ["pass 1", "pass 2"]
    assert (answers.environment, answers.ca_file) == ("staging", str(Path("ca.pem").absolute()))


def test_an_option_wins_over_its_variable() -> None:
    answers = interview(
        *RELAY, *seeds("a@gmail.com"), environ={"MAILCANARY_INIT_RELAY": "other.test", "MAILCANARY_INIT_MAILBOXES": "b@x.test"}
    ).answers()
    assert answers.relay is not None and answers.relay.server.host == "smtp.shop.example"
    assert [str(seed.address) for seed in answers.seeds] == ["a@gmail.com"]


@pytest.mark.parametrize(
    ("words", "environ", "lacking"),
    [
        ((), {}, ["--relay HOST[:PORT] (or --app-url URL)", "--mailbox ADDRESS"]),
        (("--relay", "x"), {}, ["--author ADDRESS", "--mailbox ADDRESS"]),
        ((*RELAY, "--relay-user", "u", *seeds("a@gmail.com")), {}, ["$MAILCANARY_INIT_RELAY_PASSWORD"]),
        ((*RELAY, *seeds("a@gmail.com")), {"MAILCANARY_INIT_MAILBOX_1_PASSWORD": ""}, ["$MAILCANARY_INIT_MAILBOX_1_PASSWORD"]),
        (("--app-url", "http://x/y", *seeds("a@a.test", "b@b.test", "c@c.test", "d@d.test")), {}, ["$MAILCANARY_INIT_MAILBOX_4_PASSWORD"]),
    ],
)
def test_what_lacks_is_named_all_of_it(words: Sequence[str], environ: dict[str, str], lacking: list[str]) -> None:
    with pytest.raises(UsageError) as error:
        interview(*words, environ=environ).answers()
    assert str(error.value).splitlines() == [f"{what} is missing; nothing was tried and nothing was written" for what in lacking]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ("--relay", "http://x", "--author", "a@b.test", *seeds("a@gmail.com")),
            "--relay 'http://x': is no server; write host or host:port",
        ),
        (("--relay", "x:0", "--author", "a@b.test", *seeds("a@gmail.com")), "--relay 'x:0': is no server"),
        (("--relay", "x:70000", "--author", "a@b.test", *seeds("a@gmail.com")), "--relay 'x:70000': is no server"),
        (("--relay", "x", "--author", "nobody", *seeds("a@gmail.com")), "--author 'nobody': 'nobody' has no @"),
        (("--app-url", "shop/refunds", *seeds("a@gmail.com")), "--app-url 'shop/refunds': is no URL"),
        ((*RELAY, *seeds("a@gmail.com", "a b@c.test")), "--mailbox 'a b@c.test': "),
        ((*RELAY, *seeds("a@gmail.com"), "--imap", "a:b:c"), "--imap 'a:b:c': is no server"),
        ((*RELAY, *seeds("a@gmail.com"), "--environment", "The Live One"), "--environment 'The Live One': is no name"),
        ((*RELAY, *seeds("a@gmail.com", "A+tag@gmail.com")), "--mailbox: one address stands twice"),
        ((*RELAY, *seeds(*[f"a{n}@x.test" for n in range(MAX_MAILBOXES + 1)])), f"--mailbox: {MAX_MAILBOXES + 1} of them"),
    ],
)
def test_a_bad_answer_names_its_option(words: Sequence[str], said: str) -> None:
    with pytest.raises(UsageError) as error:
        interview(*words).answers()
    assert str(error.value).startswith(said) and "\n" not in str(error.value)


def test_secrets_are_not_in_what_is_printed_of_the_answers() -> None:
    environ = {"MAILCANARY_INIT_RELAY_PASSWORD": "hunter2", "MAILCANARY_INIT_APP_AUTHORIZATION": "hunter3"}
    answers = interview(*RELAY, "--relay-user", "u", "--app-url", "http://x/", *seeds("a@gmail.com"), environ=environ).answers()
    assert "hunter" not in repr(answers) and "pass 1" not in repr(answers)


# --- a person ---------------------------------------------------------------------------------------------------------


def test_a_person_is_asked_for_what_was_not_given() -> None:
    person = FakePerson(
        [
            ("relay that takes", "smtp.shop.example"),
            ("user name", "canary"),
            ("password of canary", "relay pass"),
            ("first seed", "a@gmail.com"),
            ("second", "b@aurora.test"),
            ("password for b@aurora.test", "second pass"),
        ]
    )
    answers = interview(environ={"MAILCANARY_INIT_MAILBOX_2_PASSWORD": ""}, person=person).answers()
    assert person.script == []
    assert answers.relay is not None and answers.shop is None
    assert (answers.relay.user, answers.relay.password, str(answers.relay.author)) == ("canary", "relay pass", "refunds@shop.example")
    assert [(seed.name, seed.password) for seed in answers.seeds] == [("gmail-1", "pass 1"), ("aurora-1", "second pass")]
    assert any(said.startswith("gmail: the account's own password is refused") for said in person.said)


def test_a_person_without_a_relay_is_asked_for_the_endpoint() -> None:
    person = FakePerson([("URL of the shop", "http://shop:8080/refunds"), ("first seed", "a@aurora.test")])
    answers = interview(person=person).answers()
    assert answers.relay is None and answers.shop is not None and answers.shop.url == "http://shop:8080/refunds"
    assert [seed.name for seed in answers.seeds] == ["aurora-1"], "the second may be left out"


def test_a_bad_answer_is_asked_for_again() -> None:
    person = FakePerson(
        [
            ("relay that takes", "http://x"),
            ("relay that takes", "x"),
            ("author", "nobody"),
            ("author", "a@x.test"),
            ("first seed", "a@gmail.com"),
        ]
    )
    answers = interview(person=person).answers()
    assert answers.relay is not None and str(answers.relay.author) == "a@x.test"
    assert {"is no server; write host or host:port; again, please", "'nobody' has no @; again, please"} <= set(person.said)


def test_only_what_failed_is_asked_again_with_what_was_said_before() -> None:
    first = interview(*RELAY, *seeds("a@gmail.com", "b@aurora.test"))
    answers = first.answers()
    person = FakePerson([("IMAP server of b@aurora.test", "mail.aurora.test:143"), ("password for b@aurora.test", "new")])
    again = interview(*RELAY, *seeds("a@gmail.com", "b@aurora.test"), person=person).again(answers, {"aurora-1"})
    assert (again.relay, again.seeds[0]) == (answers.relay, answers.seeds[0])
    assert again.seeds[1].servers == (Server("mail.aurora.test", 143, Security.STARTTLS),) and again.seeds[1].password == "new"
    assert person.asked[0] == "address of mailbox 2 [b@aurora.test]" and "[imap.aurora.test]" in person.asked[1]
    kept = interview(*RELAY, person=FakePerson()).again(answers, {"aurora-1"}).seeds[1]
    assert (kept.password, kept.address) == (answers.seeds[1].password, answers.seeds[1].address), "empty: as before"


def test_the_relay_asked_again() -> None:
    words = (*RELAY, *seeds("a@gmail.com"))
    answers = interview(*words).answers()
    person = FakePerson([("relay that takes", "other.test:465"), ("tls, starttls", "tls")])
    again = interview(*words, person=person).again(answers, {"relay"})
    assert again.relay is not None and again.relay.server == Server("other.test", 465, Security.TLS)
    assert again.relay.author == Address.parse("refunds@shop.example")


def test_the_spam_folder_is_chosen_by_the_person() -> None:
    words = (*RELAY, *seeds("a@aurora.test"))
    person = FakePerson([("spam folder of aurora-1", "Werbung")])
    asked = interview(*words, person=person)
    answers = asked.spam_folder(interview(*words).answers(), "aurora-1", "'INBOX', 'Werbung'")
    assert answers.seeds[0].spam == "Werbung" and "'Werbung'" in person.said[0]
    assert interview(*words, environ={"MAILCANARY_INIT_MAILBOX_1_SPAM": "Pub"}).answers().seeds[0].spam == "Pub"
