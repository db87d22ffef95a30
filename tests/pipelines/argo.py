"""A double of Argo Rollouts' analysis: it takes a template as it is shipped, measures a real server, and comes to Argo's own conclusions.

What it imitates, in argoproj/argo-rollouts (file, function, commit that was read):

* `analysis/analysis.go`, c9dd7ea0: generateMetricTasks (initialDelay; an error is measured again after 10 s whatever the interval; no
  more measurements while terminating), runMeasurements (which counter a measurement moves), assessRunStatus and assessMetricStatus (a
  run that is terminated before it has a verdict is Successful), assessMetricFailureInconclusiveOrError (`>` and not `>=` a limit; the
  last of failed, inconclusive, errors wins).
* `utils/analysis/helpers.go`, 050bf5fa: analysisStatusOrder and IsWorse (which metric speaks for the run), IsTerminating (one metric
  that is through ends the others).
* `utils/defaults/defaults.go`: consecutiveErrorLimit is 4 when it is not given, so the fifth error in a row ends the metric.
* `metricproviders/webmetric/webmetric.go`, 7d969ef5, Run and parseResponse: not 2xx is an Error; **a body that is not JSON is
  Successful, whatever the conditions say**; jsonPath `{$}` gives the whole body; body and jsonBody need POST or PUT; 10 s unless
  timeoutSeconds.
* `utils/evaluate/evaluate.go`, 0b95b276, EvaluateResult and EvalCondition: three values; only a success condition makes everything else
  a failure; a condition that is no bool, or asks a member of what has none, is an Error.
* `metricproviders/job/job.go`, 95c82cc1, Resume: JobComplete is Successful, JobFailed is Failed. What a Job does with its pods is
  Kubernetes' batch/v1: 6 retries unless backoffLimit says otherwise.
* `utils/template/template.go`, ResolveQuotedArgs: `{{args.NAME}}`, escaped as in JSON; one that is not given is an Error of the run.
* `rollout/analysis.go`, 009fece3, setPauseOrAbort: Inconclusive pauses the rollout, Failed and Error abort it.
* consecutiveSuccessLimit as of v1.8 (pull request 3970, docs/features/analysis.md, "ConsecutiveSuccessLimit and FailureLimit"): so many
  successes in a row end the metric at once, and a count that runs out before is Inconclusive.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import aiohttp
import yaml

ERROR_RETRY = 10.0  # seconds: DefaultErrorRetryInterval
WEB_TIMEOUT = 10.0  # seconds
BACKOFF_LIMIT = 6  # of a Job that does not say
ENDLESS = 1_000  # reconciliations after which a test has found a run that never ends

Tree = dict[str, Any]
Containers = Callable[[Tree], Awaitable[int | None]]  # a pod's spec -> the exit code; None: it never started
Waits = Callable[[float], Awaitable[None]]


class Phase(StrEnum):
    SUCCESSFUL = "Successful"
    RUNNING = "Running"
    PENDING = "Pending"
    INCONCLUSIVE = "Inconclusive"
    ERROR = "Error"
    FAILED = "Failed"

    @property
    def completed(self) -> bool:
        return self not in (Phase.RUNNING, Phase.PENDING)


WORSE = list(Phase)  # best to worst


class Rollout(StrEnum):
    """What the rollout does at the end of an inline analysis step."""

    GOES_ON = "goes on"
    PAUSED = "paused"
    ABORTED = "aborted"


CONSEQUENCE = {
    Phase.SUCCESSFUL: Rollout.GOES_ON,
    Phase.INCONCLUSIVE: Rollout.PAUSED,
    Phase.ERROR: Rollout.ABORTED,
    Phase.FAILED: Rollout.ABORTED,
}


class Unresolved(Exception):
    """An argument of the template that nobody gave."""


class ConditionError(Exception):
    """A condition that does not come to a bool."""


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric of a template; None is "not given"."""

    name: str
    provider: Tree
    interval: float | None
    initial_delay: float
    count: int
    success: str
    failure: str
    failure_limit: int
    inconclusive_limit: int
    error_limit: int
    success_limit: int

    @property
    def effective_count(self) -> int | None:
        if self.count:
            return self.count
        return 1 if self.interval is None else None


@dataclass(frozen=True, slots=True)
class Measurement:
    phase: Phase
    value: str = ""
    message: str = ""


@dataclass(slots=True)
class Result:
    """What became of one metric so far."""

    phase: Phase = Phase.RUNNING
    measurements: list[Measurement] = field(default_factory=list)
    count: int = 0
    failed: int = 0
    inconclusive: int = 0
    consecutive_error: int = 0
    consecutive_success: int = 0
    finished: float = 0.0

    def take(self, measurement: Measurement, now: float) -> None:
        self.measurements.append(measurement)
        self.finished = now
        if measurement.phase is Phase.ERROR:
            self.consecutive_error += 1
            self.consecutive_success = 0
            return
        self.count += 1
        self.consecutive_error = 0
        self.failed += measurement.phase is Phase.FAILED
        self.inconclusive += measurement.phase is Phase.INCONCLUSIVE
        self.consecutive_success = self.consecutive_success + 1 if measurement.phase is Phase.SUCCESSFUL else 0


class Run:
    """One AnalysisRun. `server` stands in for `http://mailcanary:9464` of the template; time is its own, and passes only in `wait`."""

    def __init__(
        self, template: Tree, args: Mapping[str, str], server: str = "", containers: Containers | None = None, **changes: Any
    ) -> None:
        whole = json.dumps(template["spec"]["metrics"])
        resolved = resolve(whole, {**defaults(template), **args})
        if server:
            resolved = resolved.replace("http://mailcanary:9464", server)
        self.metrics = [metric(each | changes if each.get("interval") else each) for each in json.loads(resolved)]
        self.results = {each.name: Result() for each in self.metrics}
        self.now = 0.0
        self._containers = containers
        self._terminate = False

    @property
    def phase(self) -> Phase:
        terminating = self._terminating
        phases = [self.results[each.name].phase for each in self.metrics]
        ended = [phase for phase in phases if phase.completed]
        worst = max(ended, key=WORSE.index, default=None)
        if terminating:
            return worst or Phase.SUCCESSFUL
        return worst if worst is not None and len(ended) == len(phases) else Phase.RUNNING

    @property
    def rollout(self) -> Rollout:
        return CONSEQUENCE[self.phase]

    @property
    def values(self) -> list[str]:
        """What `kubectl argo rollouts get` shows of the measurements of the last metric."""
        return [each.value for each in self.results[self.metrics[-1].name].measurements]

    @property
    def messages(self) -> list[str]:
        return [each.message for result in self.results.values() for each in result.measurements]

    async def finish(self, wait: Waits | None = None) -> Phase:
        for _ in range(ENDLESS):
            await self.reconcile()
            if self.phase.completed:
                return self.phase
            seconds = max(0.0, min((self._due(each) for each in self.metrics if not self._ended(each)), default=0.0) - self.now)
            if wait is not None:
                await wait(seconds)
            self.now += seconds
        raise AssertionError("the analysis never ends")

    async def reconcile(self) -> Phase:
        terminating = self._terminating
        for each in self.metrics:
            if not self._ended(each) and not terminating and self._due(each) <= self.now:
                self.results[each.name].take(await self._measure(each), self.now)
        for each in self.metrics:
            result = self.results[each.name]
            result.phase = assess(each, result, self._terminating)
        return self.phase

    async def terminate(self) -> Phase:
        """The rollout is at its end, and wants no more analysis."""
        self._terminate = True
        return await self.reconcile()

    @property
    def _terminating(self) -> bool:
        through = (Phase.FAILED, Phase.ERROR, Phase.INCONCLUSIVE)
        return self._terminate or any(result.phase in through for result in self.results.values())

    def _ended(self, of: Metric) -> bool:
        return self.results[of.name].phase.completed

    def _due(self, of: Metric) -> float:
        result = self.results[of.name]
        if not result.measurements:
            return of.initial_delay
        again = ERROR_RETRY if result.measurements[-1].phase is Phase.ERROR else of.interval
        return result.finished + (again if again is not None else ERROR_RETRY)

    async def _measure(self, of: Metric) -> Measurement:
        if "web" in of.provider:
            return await measure_web(of)
        if self._containers is None:
            raise AssertionError("no containers to run a Job in")
        return await measure_job(of.provider["job"]["spec"], self._containers)


def assess(of: Metric, result: Result, terminating: bool) -> Phase:
    """assessMetricStatus."""
    if result.phase.completed:
        return result.phase
    if not result.measurements:
        return Phase.SUCCESSFUL if terminating else Phase.PENDING
    ended = None
    if of.failure_limit >= 0 and result.failed > of.failure_limit:
        ended = Phase.FAILED
    if result.inconclusive > of.inconclusive_limit:
        ended = Phase.INCONCLUSIVE
    if result.consecutive_error > of.error_limit:
        ended = Phase.ERROR
    if ended is not None:
        return ended
    if of.success_limit and result.consecutive_success >= of.success_limit:
        return Phase.SUCCESSFUL
    if of.effective_count is not None and result.count >= of.effective_count:
        return Phase.INCONCLUSIVE if of.success_limit else Phase.SUCCESSFUL
    return Phase.SUCCESSFUL if terminating else Phase.RUNNING


async def measure_web(of: Metric) -> Measurement:
    """webmetric.go, Run."""
    web = of.provider["web"]
    method = web.get("method", "GET")
    text, tree = web.get("body", ""), web.get("jsonBody")
    if text and tree is not None:
        return Measurement(Phase.ERROR, message="use either Body or JSONBody")
    if (text or tree is not None) and method == "GET":
        return Measurement(Phase.ERROR, message="Body/JSONBody can only be used with POST or PUT")
    headers = {each["key"]: each["value"] for each in web.get("headers", [])}
    if tree is not None:
        headers["Content-Type"] = "application/json"
    data = json.dumps(tree) if tree is not None else text or None
    timeout = aiohttp.ClientTimeout(total=float(web.get("timeoutSeconds", 0)) or WEB_TIMEOUT)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.request(method, web["url"], headers=headers, data=data) as answer,
        ):
            raw = await answer.text()
    except (aiohttp.ClientError, TimeoutError) as error:
        return Measurement(Phase.ERROR, message=f"{type(error).__name__}: {error}")
    if not 200 <= answer.status < 300:
        return Measurement(Phase.ERROR, message=f"received non 2xx response code: {answer.status}")
    try:
        value = json.loads(raw)
    except ValueError:
        return Measurement(Phase.SUCCESSFUL, value=raw)  # "non JSON body return as string", before any condition
    assert web.get("jsonPath", "{$}") == "{$}", "the double knows the whole body only"
    shown = json.dumps(value)
    try:
        return Measurement(evaluate(value, of.success, of.failure), value=shown)
    except ConditionError as error:
        return Measurement(Phase.ERROR, value=shown, message=str(error))


async def measure_job(spec: Tree, containers: Containers) -> Measurement:
    """What the Job comes to; a pod that never starts is ended by activeDeadlineSeconds, and without that by nobody."""
    pod = spec["template"]["spec"]
    for _ in range(1 + int(spec.get("backoffLimit", BACKOFF_LIMIT))):
        code = await containers(pod)
        if code is None:
            assert "activeDeadlineSeconds" in spec, "a pod that never starts, and nobody ends the Job"
            return Measurement(Phase.FAILED, message="DeadlineExceeded")
        if code == 0:
            return Measurement(Phase.SUCCESSFUL)
    return Measurement(Phase.FAILED, message="BackoffLimitExceeded")


def evaluate(result: object, success: str, failure: str) -> Phase:
    """EvaluateResult. Raises ConditionError."""
    good = condition(success, result) if success else False
    bad = condition(failure, result) if failure else False
    if not success and not failure:
        return Phase.SUCCESSFUL
    if success and not failure:
        bad = not good
    elif failure and not success:
        good = not bad
    if bad:
        return Phase.FAILED
    return Phase.SUCCESSFUL if good else Phase.INCONCLUSIVE


def condition(text: str, result: object) -> bool:
    """The part of the expression language that our templates use: members, comparisons, and, or, not. Raises ConditionError."""
    parts = re.split(r'("(?:[^"\\]|\\.)*")', text)
    words = {"true": "True", "false": "False", "nil": "None"}
    for at in range(0, len(parts), 2):
        code = parts[at].replace("&&", " and ").replace("||", " or ")
        code = re.sub(r"!(?!=)", " not ", code)
        parts[at] = re.sub(r"\b(true|false|nil)\b", lambda word: words[word[0]], code)
    try:
        value = _value(ast.parse("".join(parts).strip(), mode="eval").body, result)
    except SyntaxError as error:
        raise ConditionError(f"unexpected token: {error}") from error
    if not isinstance(value, bool):
        raise ConditionError(f"expected bool, but got {type(value).__name__}")
    return value


def _value(node: ast.expr, result: object) -> object:
    match node:
        case ast.Constant(value):
            return value
        case ast.Name("result"):
            return result
        case ast.Attribute(owner, name):
            holder = _value(owner, result)
            if not isinstance(holder, dict):
                raise ConditionError(f"cannot fetch {name} from {holder!r}")
            return holder.get(name)  # a missing key of a map is nil
        case ast.Subscript(owner, ast.Constant(key)):
            holder = _value(owner, result)
            if not isinstance(holder, list) or not isinstance(key, int) or key >= len(holder):
                raise ConditionError("reflect: slice index out of range")
            return holder[key]
        case ast.UnaryOp(ast.Not(), operand):
            return not _bool(operand, result)
        case ast.BoolOp(ast.And(), operands):
            return all(_bool(each, result) for each in operands)
        case ast.BoolOp(ast.Or(), operands):
            return any(_bool(each, result) for each in operands)
        case ast.Compare(left, [operator], [right]):
            return _compare(operator, _value(left, result), _value(right, result))
        case _:
            raise ConditionError(f"not in this double: {ast.unparse(node)}")


def _bool(node: ast.expr, result: object) -> bool:
    value = _value(node, result)
    if not isinstance(value, bool):
        raise ConditionError(f"expected bool, but got {type(value).__name__}")
    return value


def _compare(operator: ast.cmpop, left: Any, right: Any) -> bool:
    match operator:
        case ast.Eq():
            return bool(left == right)
        case ast.NotEq():
            return bool(left != right)
    if not isinstance(left, int | float) or not isinstance(right, int | float):
        raise ConditionError(f"invalid operation: {left!r} and {right!r}")
    match operator:
        case ast.Lt():
            return left < right
        case ast.LtE():
            return left <= right
        case ast.Gt():
            return left > right
        case _:
            return left >= right


def metric(tree: Tree) -> Metric:
    return Metric(
        name=tree["name"],
        provider=tree["provider"],
        interval=seconds(tree["interval"]) if "interval" in tree else None,
        initial_delay=seconds(tree.get("initialDelay", "0s")),
        count=int(tree.get("count", 0)),
        success=tree.get("successCondition", ""),
        failure=tree.get("failureCondition", ""),
        failure_limit=int(tree.get("failureLimit", 0)),
        inconclusive_limit=int(tree.get("inconclusiveLimit", 0)),
        error_limit=int(tree.get("consecutiveErrorLimit", 4)),
        success_limit=int(tree.get("consecutiveSuccessLimit", 0)),
    )


def seconds(text: str) -> float:
    """A Go duration of one part."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)(ms|s|m|h)", text)
    assert found is not None, f"no duration: {text}"
    return float(found[1]) * {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}[found[2]]


def defaults(template: Tree) -> dict[str, str]:
    return {each["name"]: each["value"] for each in template["spec"].get("args", []) if "value" in each}


def resolve(text: str, args: Mapping[str, str]) -> str:
    """ResolveQuotedArgs. Raises Unresolved."""

    def put(found: re.Match[str]) -> str:
        name = found[1].strip()
        if not name.startswith("args.") or name.removeprefix("args.") not in args:
            raise Unresolved(f"failed to resolve {{{{{name}}}}}")
        return json.dumps(args[name.removeprefix("args.")])[1:-1]

    return re.sub(r"\{\{(.*?)\}\}", put, text)


def load(text: str, kind: str = "AnalysisTemplate") -> Tree:
    """The document of this kind in a file of several."""
    found = [each for each in yaml.safe_load_all(text) if each and each["kind"] == kind]
    assert len(found) == 1, f"{len(found)} documents of the kind {kind}"
    return dict(found[0])
