"""One concrete next step per layer. What a person reads at three in the morning: short, and doable."""

from __future__ import annotations

from collections.abc import Sequence

from monitor.model.facts import DeployMarked
from monitor.model.incident import DeployCandidate, Layer
from monitor.model.policy import Policy, SmtpPath
from monitor.model.probe import MailboxName
from monitor.model.verdict import Symptom
from monitor.rules.diagnose.layer import Finding
from monitor.rules.diagnose.pattern import Pattern


def next_step(
    finding: Finding, symptom: Symptom, pattern: Pattern, policy: Policy, deploy: DeployCandidate | None, blind: tuple[MailboxName, ...]
) -> str:
    """What to do first. `deploy`: the one to roll back, if any."""
    if symptom is Symptom.STRAY and finding.doubts:
        return "read the mail: is its refund in the ledger? Look for its Message-ID in the log of the shop's mail jobs; mailcanary audit"
    if symptom is Symptom.STRAY:
        return "find what mailed it: look for its Message-ID in the log of the shop's mail jobs, and stop that job"
    if symptom is Symptom.BUDGET:
        return "find what used the budget up (/v1/status), or raise budgets.per_path and budgets.per_mailbox"
    if symptom is Symptom.BASELINE:
        return "see which incident is open about the mail that it would be compared with (mailcanary incident list): that one comes first"
    mailboxes = sorted({route.mailbox for route in pattern.failing} or set(blind))
    boxes = named(mailboxes, "the mailbox")
    providers = named(sorted(pattern.places(pattern.failing) | {policy.mailboxes[name].provider for name in blind}), "the provider")
    paths = named(sorted({route.path for route in pattern.failing}), "the path")
    untried = sorted(set(policy.paths) - {seen.route.path for seen in pattern.observations})
    match finding.layer:
        case Layer.APPLICATION if deploy is not None:
            return f"roll back {deploy_name(deploy)}, then watch the next probes of {paths}"
        case Layer.DNS | Layer.RELAY if symptom in (Symptom.AUTH, Symptom.SPAM_PLACEMENT) and finding.why:
            return f"mailcanary audit {finding.domain or 'DOMAIN'}: it names the record to publish; then watch {paths}"
        case Layer.APPLICATION | Layer.RELAY if symptom is Symptom.SPAM_PLACEMENT:
            domain = next(iter(policy.sending_domains), "DOMAIN")
            return f"mailcanary audit {domain}; then the template and links of {paths}; then our reputation at {providers}"
        case Layer.APPLICATION | Layer.RELAY if symptom is Symptom.CONTENT_WRONG:
            return f"compare the template and amount that {paths} renders with what came to {boxes}"
        case Layer.APPLICATION | Layer.RELAY if symptom is Symptom.MISFILED:
            return f"compare the template and headers of {paths} with those of mail that is in INBOX of {boxes}"
        case Layer.APPLICATION | Layer.RELAY if finding.other is not None and untried:
            return f"see whether {untried[0]} arrives (its verdicts stand in /v1/status): if it does not, the fault is in what they share"
        case Layer.APPLICATION:
            return f"read the application's log for a probe of {paths}: was its mail handed to the relay, to which recipient?"
        case Layer.RELAY:
            return f"read the queue and the log of {_relay(pattern, policy)} for mail to {providers} (Postfix: postqueue -p)"
        case Layer.AUTHENTICATION if finding.why and deploy is not None:
            return f"see what {deploy_name(deploy)} changed between composing and signing the mail of {paths}, or roll it back"
        case Layer.AUTHENTICATION:
            domains = ", ".join(policy.sending_domains[:3]) or "the author domain"
            return f"check SPF, the DKIM key record and DMARC of {domains}, and that the relay still signs"
        case Layer.DNS:
            return f"ask the relay's resolver for the MX of the domains at {providers}, and for the records of our own sending domain"
        case Layer.PROVIDER:
            return f"look at the status page of {providers}, and in the relay's log for what it says to our mail"
        case Layer.MAILBOX:
            return f"log in to {boxes} by hand: is it open, full, forwarded, filtered?"
        case Layer.MONITOR if symptom is Symptom.SUBMIT_BLIND:
            return f"renew the credentials and the CA file of {paths} in our configuration, then: mailcanary check-config --live"
        case Layer.MONITOR if symptom is Symptom.MAILBOX_BLIND:
            return "from the monitor's host: mailcanary check-config --live; then its network, DNS and firewall"
        case Layer.MONITOR:
            return "read the log and /v1/status of the monitor on its host: disk, clock, load, network"


def deploy_name(deploy: DeployMarked | DeployCandidate) -> str:
    return " ".join(part for part in (deploy.service, deploy.version or deploy.deploy) if part)


def named(names: Sequence[str], otherwise: str, most: int = 4) -> str:
    """The names, at most `most` of them."""
    if not names:
        return otherwise
    rest = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + rest


def _relay(pattern: Pattern, policy: Policy) -> str:
    hosts = sorted({via.host for route in pattern.failing if isinstance(via := policy.paths[route.path].via, SmtpPath)})
    return named(hosts, "the relay", 2)
