"""What may be asked of gates and said about them. A policy has the keys of `GatePolicy`, times in seconds or like 90s, 10m, 2h."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Discriminator, Field, StrictBool, StrictInt, Tag
from pydantic_core import PydanticCustomError

from monitor.model.gate import Control, GatePlan, GatePolicy, GateStep, Sequential
from monitor.surface.api.bodies import Body, Deploy, Label, Length, Name, Remark, Text, seconds_in

MOST_PROBES = 2_000  # of one class
MOST_NAMES = 200  # routes that a request names
LONGEST = 7 * 86_400.0  # seconds


def _seconds(value: object) -> float:
    seconds = (seconds_in(value) or None) if isinstance(value, str) else value
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds <= LONGEST:
        raise PydanticCustomError("seconds", "write a length of time, in seconds or like 90s, 10m, 2h; at most 7 days")
    return float(seconds)


def _named(value: object) -> str:
    return "name" if isinstance(value, str) else "policy"


Seconds = Annotated[float, BeforeValidator(_seconds)]
Share = Annotated[float, Field(gt=0, lt=1, strict=True, allow_inf_nan=False)]
Names = Annotated[list[Name], Field(max_length=MOST_NAMES)]
AtLeastOne = Annotated[StrictInt, Field(ge=1, le=MOST_PROBES)]
Count = Annotated[StrictInt, Field(ge=0, le=MOST_PROBES)]


class StepBody(Body):
    probes: AtLeastOne
    accept: Count


class SequentialBody(Body):
    good: Share
    bad: Share
    false_fail: Share
    false_pass: Share
    most: AtLeastOne


class PlanBody(Body):
    steps: Annotated[list[StepBody], Field(max_length=20, default_factory=list)]
    reject: Count = 2
    sequential: SequentialBody | None = None


class PolicyBody(Body):
    name: Name = "custom"
    plan: PlanBody
    timeout: Seconds = 600.0
    deadline: Seconds | None = None
    settle: Seconds = 2.0
    fresh_for: Seconds = 3600.0
    min_routes: Count = 1
    routes: Names = Field(default_factory=list)
    trust_target: StrictBool = False
    control: Control = Control.STABLE
    overdue_fails: StrictBool = False

    def policy(self) -> GatePolicy:
        plan = GatePlan(
            tuple(GateStep(step.probes, step.accept) for step in self.plan.steps),
            self.plan.reject,
            Sequential(**self.plan.sequential.model_dump()) if self.plan.sequential else None,
        )
        return GatePolicy(
            name=self.name,
            plan=plan,
            timeout=self.timeout,
            deadline=self.deadline,
            settle=self.settle,
            fresh_for=self.fresh_for,
            min_routes=self.min_routes,
            routes=tuple(self.routes),
            trust_target=self.trust_target,
            control=self.control,
            overdue_fails=self.overdue_fails,
        )


class GateRequest(Body):
    """`policy`: the name of one, or one written out; what stands from `routes` on changes it, for this gate."""

    deploy: Deploy
    policy: Annotated[Annotated[Name, Tag("name")] | Annotated[PolicyBody, Tag("policy")], Discriminator(_named)] | None = None
    service: Label = ""
    version: Label = ""
    sha: Label = ""
    by: Label = ""
    notify: StrictBool = True
    advisory_for: Length | None = None
    routes: Annotated[list[Name], Field(min_length=1, max_length=MOST_NAMES)] | None = None
    probes: Annotated[StrictInt, Field(ge=1, le=MOST_PROBES // 2)] | None = None
    deadline: Seconds | None = None
    timeout: Seconds | None = None
    control: Control | None = None
    min_routes: AtLeastOne | None = None
    trust_target: StrictBool | None = None


class CancelRequest(Body):
    by: Name
    reason: Remark = ""


class OverrideRequest(Body):
    by: Name
    reason: Text
    seconds: Length = Field(alias="for")
