"""The section `deploys:` of the file."""

from __future__ import annotations

from typing import Annotated

from monitor.settings.addresses import Pointer, WebUrl
from monitor.settings.scalars import Hidden, Name, Text, TextScalar
from monitor.settings.section import Section, optional, required

GrafanaUrl = Annotated[str, WebUrl("write token: {env: NAME}, a service account token")]
InBody = Annotated[str, Pointer()]
Word = Annotated[str, TextScalar(64)]


class WebhookMapShape(Section):
    """How the webhook of a deploy tool is read. Pointers are JSON pointers (RFC 6901) into its body."""

    deploy: InBody = required("What identifies the deploy.", "/deployment/id")
    phase: InBody = required("What says how far it is.", "/deployment/status")
    start: tuple[Word, ...] = optional("Values of phase, in any case, that mean: it starts.", ())
    finish: tuple[Word, ...] = optional("Values of phase that mean: it has finished.", ())
    rollback: tuple[Word, ...] = optional("Values of phase that mean: it is rolled back.", ())
    service: InBody | None = optional("What is deployed.")
    version: InBody | None = optional("The version, as it calls itself.")
    sha: InBody | None = optional("The commit.")
    by: InBody | None = optional("Who deploys.")
    at: InBody | None = optional("When: seconds or milliseconds since the epoch, or ISO 8601. Default: when it is heard of.")
    url: InBody | None = optional("Of the pipeline.")


class GrafanaShape(Section):
    """Deploys drawn as annotations in Grafana, as best effort."""

    url: GrafanaUrl = required("Where Grafana is, without /api.", "https://grafana.example.com")
    token: Hidden = required("Service account token that may write annotations: {env: NAME} or {file: PATH}.", "{env: GRAFANA_TOKEN}")
    ca_file: Text | None = optional("PEM file of the CA to trust instead of the system's; relative to this file.")


class DeploysShape(Section):
    """Where deploys are heard of and shown, beside `mailcanary deploy` and /v1/deploys."""

    webhooks: dict[Name, WebhookMapShape] = optional("Deploy tools by name; each posts to /v1/deploys/hooks/NAME. Default: none.", {})
    grafana: GrafanaShape | None = optional("Where deploys and failed gates are drawn. Default: nowhere.")
