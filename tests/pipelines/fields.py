"""The fields that a document may have, of kinds whose own schema is to be had nowhere offline: an unknown or missing one is a fault.

Argo: the json names of the structs of pkg/apis/rollouts/v1alpha1/{analysis_types,types}.go in argoproj/argo-rollouts (eee6677f, and
consecutiveSuccessLimit of v1.8). Flagger: pkg/apis/flagger/v1beta1/canary.go (794fea8c, and retries of later versions) and
artifacts/flagger/crd.yaml (c81e19c4) in fluxcd/flagger. A name with a star is required. Only what a released file may need is listed: what
an example begins to use must be looked up there first.
"""

from __future__ import annotations

from typing import Any

Fields = dict[str, Any]

ANY = object()  # validated elsewhere, or the user's own
SCALAR = str | int | float | bool
OBJECT: Fields = {"name*": str, "namespace": str, "labels": ANY, "annotations": ANY}
SECRET: Fields = {"secretKeyRef": {"name*": str, "key*": str}, "fieldRef": {"fieldPath*": str}}
WEB: Fields = {
    "method": str,
    "url*": str,
    "headers": [{"key*": str, "value*": str}],
    "body": str,
    "timeoutSeconds": int,
    "jsonPath": str,
    "insecure": bool,
    "jsonBody": ANY,
}
METRIC: Fields = {
    "name*": str,
    "interval": str,
    "initialDelay": str,
    "count": int,
    "successCondition": str,
    "failureCondition": str,
    "failureLimit": int,
    "inconclusiveLimit": int,
    "consecutiveErrorLimit": int,
    "consecutiveSuccessLimit": int,
    "provider*": {"web": WEB, "job": {"metadata": {"labels": ANY, "annotations": ANY}, "spec*": ANY}},
}
ANALYSIS_TEMPLATE: Fields = {
    "apiVersion*": str,
    "kind*": str,
    "metadata*": OBJECT,
    "spec*": {"args": [{"name*": str, "value": str, "valueFrom": SECRET}], "metrics*": [METRIC]},
}
STEP: Fields = {
    "setWeight": int,
    "pause": {"duration": SCALAR},
    "analysis": {
        "templates*": [{"templateName*": str, "clusterScope": bool}],
        "args": [{"name*": str, "value": str, "valueFrom": {"podTemplateHashValue": str, "fieldRef": {"fieldPath*": str}}}],
    },
}
ROLLOUT: Fields = {
    "apiVersion*": str,
    "kind*": str,
    "metadata*": OBJECT,
    "spec*": {
        "replicas": int,
        "selector*": ANY,
        "template*": ANY,
        "strategy*": {"canary": {"canaryService": str, "stableService": str, "steps": [STEP]}},
    },
}
WEBHOOK: Fields = {
    "name*": str,
    "type": str,
    "url*": str,
    "timeout": str,
    "retries": int,
    "muteAlert": bool,
    "metadata": ANY,
}
CANARY: Fields = {
    "apiVersion*": str,
    "kind*": str,
    "metadata*": OBJECT,
    "spec*": {
        "provider": str,
        "targetRef*": {"apiVersion": str, "kind": str, "name*": str},
        "progressDeadlineSeconds": int,
        "service*": {"port*": int, "targetPort": SCALAR, "name": str, "portName": str},
        "analysis*": {
            "interval*": str,
            "threshold*": int,
            "maxWeight": int,
            "stepWeight*": int,
            "webhooks": [WEBHOOK],
        },
    },
}
KINDS: dict[tuple[str, str], Fields] = {
    ("argoproj.io/v1alpha1", "AnalysisTemplate"): ANALYSIS_TEMPLATE,
    ("argoproj.io/v1alpha1", "Rollout"): ROLLOUT,
    ("flagger.app/v1beta1", "Canary"): CANARY,
}
HOOK_TYPES = (
    "confirm-rollout", "pre-rollout", "rollout", "confirm-traffic-increase", "confirm-promotion", "post-rollout", "event", "rollback"
)  # fmt: skip


def document_faults(document: Any) -> list[str]:
    known = KINDS.get((document.get("apiVersion"), document.get("kind")))
    return field_faults(document, known) if known is not None else [f"no kind that is known here: {document.get('kind')}"]


def field_faults(tree: Any, known: Any, at: str = "") -> list[str]:
    if known is ANY:
        return []
    if isinstance(known, list):
        if not isinstance(tree, list):
            return [f"{at}: no list"]
        return [fault for number, each in enumerate(tree) for fault in field_faults(each, known[0], f"{at}[{number}]")]
    if not isinstance(known, dict):
        return [] if isinstance(tree, known) and not (known is int and isinstance(tree, bool)) else [f"{at}: {tree!r} is no {known}"]
    if not isinstance(tree, dict):
        return [f"{at}: no object"]
    names = {name.rstrip("*"): fields for name, fields in known.items()}
    faults = [f"{at}.{name}: unknown" for name in tree if name not in names]
    faults += [f"{at}.{name[:-1]}: missing" for name in known if name.endswith("*") and name[:-1] not in tree]
    return faults + [fault for name, each in tree.items() if name in names for fault in field_faults(each, names[name], f"{at}.{name}")]
