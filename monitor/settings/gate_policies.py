"""The words of `gates:` -> policies of gates; and what single values of them cannot show."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace

from monitor.model.duration import print_duration
from monitor.model.gate import BUILT_IN, QUICK, GatePlan, GatePolicy, GatesPolicy, GateStep, Sequential, faults
from monitor.model.probe import Route
from monitor.settings.faults import KeyPath
from monitor.settings.gates_shape import GatePolicyShape, GatesShape
from monitor.settings.report import Report
from monitor.settings.routes import PlannedRoute, mailbox_budget
from monitor.settings.scalars import closest
from monitor.settings.shape import Settings

_PLAIN = ("timeout", "deadline", "settle", "fresh_for", "min_routes", "routes", "trust_target", "control", "overdue_fails")
_LISTED = 16


def gate_policy(name: str, shape: GatePolicyShape) -> GatePolicy:
    """What is not written comes from the built-in policy that it is like."""
    base = BUILT_IN[shape.like]
    written = {key: value for key in _PLAIN if (value := getattr(shape, key)) is not None}
    rest = {key: getattr(base, key) for key in _PLAIN}
    return GatePolicy(name, _plan(shape, base.plan), **{**rest, **written})


def gates_policy(shape: GatesShape) -> GatesPolicy:
    policies = {name: gate_policy(name, policy) for name, policy in shape.policies.items()}
    return GatesPolicy(shape.policy, shape.burst, shape.window, shape.daily_share, policies)


def _plan(shape: GatePolicyShape, base: GatePlan) -> GatePlan:
    if shape.sequential is not None:
        test = shape.sequential
        return GatePlan(sequential=Sequential(test.good, test.bad, test.false_fail, test.false_pass, test.most))
    steps = tuple(GateStep(step.probes, step.accept) for step in shape.steps or ())
    reject = shape.reject or base.reject
    return GatePlan(steps, reject) if steps else GatePlan(base.steps, reject, base.sequential)


def check_policy(at: KeyPath, shape: GatePolicyShape, report: Report) -> None:
    """A policy that contradicts itself or can never decide; `at` is where it stands."""
    before = len(report.faults)
    _plan_fits(at, shape, report)
    policy = gate_policy("x", shape)
    for key, seconds in (("deadline", policy.deadline), ("settle", policy.settle)):
        if seconds is not None and seconds >= policy.timeout:
            where = key if getattr(shape, key) is not None else "timeout"
            what = f"{key} ({print_duration(seconds)}) is not before timeout ({print_duration(policy.timeout)}): no attempt could decide"
            report.fault((*at, where), what, f"write {key} < timeout")
    if len(report.faults) == before and (why := faults(policy)):
        what, _, mend = why.partition("; ")
        blamed = next((key for key in _blamed(policy) if getattr(shape, key) is not None), None)
        report.fault((*at, blamed) if blamed else at, what, mend)


def _plan_fits(at: KeyPath, shape: GatePolicyShape, report: Report) -> None:
    plan = _plan(shape, BUILT_IN[shape.like].plan)
    if shape.steps is not None and shape.sequential is not None:
        report.fault((*at, "sequential"), "stands beside steps:, and only one of them can decide", "keep one of them")
        return
    if plan.sequential is not None:
        if shape.reject is not None:
            report.fault((*at, "reject"), "is for steps; a sequential test has limits of its own", "remove it, or write steps:")
        if plan.sequential.bad <= plan.sequential.good:
            report.fault((*at, "sequential", "bad"), "is not above good: nothing tells a bad deploy from a good one", "write good < bad")
        return
    reject_at: KeyPath = (*at, "reject") if shape.reject is not None else at
    for index, step in enumerate(plan.steps):
        here: KeyPath = (*at, "steps", index) if shape.steps is not None else reject_at
        if step.accept >= plan.reject:
            what = f"a step passes with {step.accept} adverse probes, but {plan.reject} fail it"
            report.fault((*here, "accept") if shape.steps is not None else here, what, "write accept < reject")
        if step.accept >= step.probes:
            report.fault((*here, "accept"), f"would pass with all of its {step.probes} probes adverse", "write accept < probes")
        if index and step.probes <= plan.steps[index - 1].probes:
            report.fault((*here, "probes"), "is not more than in the step before", "write the steps in growing order")
        elif index and step.accept <= plan.steps[index - 1].accept:
            what = "is not more than in the step before: whoever did not pass there cannot pass here"
            report.fault((*here, "accept"), what, "accept more adverse probes in a later step, or remove the step")


def _blamed(policy: GatePolicy) -> tuple[str, ...]:
    """The keys that can make a policy one that never decides, the likeliest first."""
    if not faults(replace(policy, plan=BUILT_IN[QUICK].plan)):
        return ("steps", "sequential", "reject")
    return ("overdue_fails", "control") if not faults(replace(policy, overdue_fails=False)) else ("timeout", "settle", "deadline")


def check_gates(settings: Settings, routes: tuple[PlannedRoute, ...], report: Report) -> None:
    """Names without a policy or a route, and what the mailboxes can never give."""
    gates = settings.gates
    for name, shape in gates.policies.items():
        at: KeyPath = ("gates", "policies", name)
        if name in BUILT_IN:
            report.fault(at, "is the name of a built-in policy", f"give it another name, and write like: {name}")
        before = len(report.faults)
        check_policy(at, shape, report)
        _routes_known(at, shape, settings, routes, report)
        if len(report.faults) == before:
            policy = gate_policy(name, shape)
            _within_reach(at, policy, settings, routes, report)
            _proves(at, policy, routes, report)
    if gates.policy not in BUILT_IN and gates.policy not in gates.policies:
        near = closest(gates.policy, [*BUILT_IN, *gates.policies])
        known = ", ".join([*BUILT_IN, *gates.policies][:_LISTED])
        report.fault(("gates", "policy"), f"no policy is called {gates.policy}", f"did you mean {near}?" if near else f"known: {known}")
    elif gates.policy in BUILT_IN:
        written = [key for key in ("policy", "burst", "window", "daily_share") if report.written(("gates", key))]
        if written:  # who writes nothing of gates may want none
            _within_reach(("gates", written[0]), BUILT_IN[gates.policy], settings, routes, report)


def _routes_known(at: KeyPath, shape: GatePolicyShape, settings: Settings, routes: tuple[PlannedRoute, ...], report: Report) -> None:
    known = {str(one.route) for one in routes} | {name for one in routes for name in (one.route.path, one.route.mailbox)}
    written = {*settings.paths, *settings.mailboxes}
    for index, name in enumerate(shape.routes or ()):
        if name not in known and known:
            near = closest(name, sorted(known))
            what = f"no route goes by {name}" if name in written else f"no path, mailbox or route is called {name}"
            mend = f"did you mean {near}?" if near and near != name else f"known: {', '.join(sorted(known)[:_LISTED])}"
            report.fault((*at, "routes", index), what, mend)


def _within_reach(at: KeyPath, policy: GatePolicy, settings: Settings, routes: tuple[PlannedRoute, ...], report: Report) -> None:
    """Can the fewest probes that let a class pass be sent within the timeout and within a day's share?"""
    chosen = [one.route for one in routes if not policy.routes or {str(one.route), one.route.path, one.route.mailbox} & {*policy.routes}]
    if chosen and policy.min_routes > len(chosen):
        what = f"wants {policy.min_routes} routes, and only {len(chosen)} are selected: it can never pass"
        report.fault((*at, "min_routes"), what, f"write at most {len(chosen)}")
    gates, fewest = settings.gates, _fewest(policy.plan)
    boxes = {route.mailbox: route for route in chosen}
    by_provider = Counter(settings.mailboxes[name].provider for name in boxes)
    for provider, count in by_provider.items():
        seconds = (math.ceil(fewest / (count * gates.burst)) - 1) * gates.window
        if seconds >= policy.timeout:
            pace = f"burst: {gates.burst} in window: {print_duration(gates.window)}"
            takes = f"which take {print_duration(seconds)} ({pace})"
            what = f"needs {fewest} probes to {provider}, {takes}, but has {print_duration(policy.timeout)}"
            report.fault(at, what, "write a longer timeout, a larger burst, or fewer probes")
        share = sum(_share(settings, route) for name, route in boxes.items() if settings.mailboxes[name].provider == provider)
        if share < fewest:
            what = f"needs {fewest} probes to {provider}, of which gates may have {share} a day"
            report.fault(at, what, "write a larger daily_share or daily_budget, or fewer probes")


def _proves(at: KeyPath, policy: GatePolicy, routes: tuple[PlannedRoute, ...], report: Report) -> None:
    """Mail that never comes is lost only after its deadline: what one attempt cannot wait for, it cannot hold against a deploy."""
    missing = max((one.deadlines.missing_after for one in routes), default=0.0)
    if policy.deadline is None and policy.timeout <= missing:
        what = (
            f"has {print_duration(policy.timeout)}, and mail is only missing after {print_duration(missing)}: an attempt cannot see a loss"
        )
        report.note((*at, "timeout"), what, "write a deadline: below timeout, or a longer timeout")


def _share(settings: Settings, route: Route) -> int:
    return int(mailbox_budget(settings, route) * settings.gates.daily_share + 1e-9)  # whole probes; a rounding error takes none away


def _fewest(plan: GatePlan) -> int:
    """Probes of one class, all good, with which it passes."""
    if plan.sequential is None:
        return plan.steps[0].probes if plan.steps else 0
    test = plan.sequential
    lower = math.log(test.false_pass / (1 - test.false_fail))
    return min(test.most, math.ceil(lower / math.log((1 - test.bad) / (1 - test.good))))
