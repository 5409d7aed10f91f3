"""Rollout policies: which bundles, through which stages, with which protection.

`read_policies(documents, groups)` answers a `PolicyBook`; `PolicyBook.policy_for(bundle, labels)`
answers the one policy of a bundle, or `Unprotected` with the reason why it is held. A bundle whose
policy cannot be read, or that two policies claim, is held: nothing is released unprotected, and
nothing is released at once because somebody forgot to write a policy (preset `default`).

Pure. Numbers stay as written (`Amount`); `fleet.rollout.resolution` makes integers of them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from fleet.model import Bundle, Labels, PolicyDocument, Problem, Selector, Severity
from fleet.rollout import gate_rules, presets
from fleet.rollout.analysis_document import AnalysisSpec
from fleet.rollout.budget_document import BudgetSpec
from fleet.rollout.document import Source, Spec, Stage
from fleet.rollout.measures import Measures
from fleet.rollout.shared_budget import RolloutBudget
from fleet.rollout.stages import Policy, StagePolicy, in_order

_FIX = "correct it as docs/rollouts.md shows; until then the bundles of this rollout are held"
_FIX_LATER = "leave it out for now; until then the bundles of this rollout are held"


@dataclass(frozen=True, slots=True)
class Unprotected:
    """Why a bundle has no policy and is held."""

    code: str
    reason: str


@dataclass(frozen=True, slots=True)
class Broken:
    """A document that could not be read, and the bundles that it would have carried."""

    name: str
    at: str
    bundles: Selector | None


@dataclass(frozen=True, slots=True)
class PolicyBook:
    """All policies of one commit."""

    policies: tuple[Policy, ...] = ()
    broken: tuple[Broken, ...] = ()
    problems: tuple[Problem, ...] = ()
    budgets: tuple[RolloutBudget, ...] = ()
    """Every `kind: RolloutBudget`: caps that all runs share."""
    closed: str = ""
    """Why nothing at all may be released, if so."""
    fallback: Policy = field(default_factory=lambda: preset_policy(()))
    """The preset for bundles that no document carries."""

    def policy_for(self, labels: Labels) -> Policy | Unprotected:
        """The one policy of a bundle with these labels, or why it is held."""
        if self.closed:
            return Unprotected("policy-not-readable", self.closed)
        claims = self._claims(labels, named=True) or self._claims(labels, named=False)
        if not claims:
            return self.fallback
        if len(claims) > 1:
            names = ", ".join(sorted(claim.name for claim in claims))
            return Unprotected("rollout-overlap", f"several rollouts carry it: {names}")
        if isinstance(claims[0], Broken):
            return Unprotected(
                "policy-not-readable", f"rollout {claims[0].name!r} at {claims[0].at} has errors"
            )
        return claims[0]

    def by_name(self, name: str) -> Policy | None:
        """The policy of that name, the fallback included."""
        every = (*self.policies, self.fallback)
        return next((policy for policy in every if policy.name == name), None)

    def _claims(self, labels: Labels, *, named: bool) -> list[Policy | Broken]:
        every: tuple[Policy | Broken, ...] = (*self.policies, *self.broken)
        if named:
            return [one for one in every if one.bundles and one.bundles.matches(labels)]
        return [one for one in every if one.bundles is None]


def read_policies(
    documents: Sequence[PolicyDocument],
    groups: Collection[str],
    unread: Collection[str] = (),
) -> PolicyBook:
    """The policies of a commit.

    `groups` are the names of the cluster groups that exist; `unread` is `Repo.unread`: if a
    Rollout may be among what could not be read, nothing is released.
    """
    policies: list[Policy] = []
    broken: list[Broken] = []
    problems: list[Problem] = []
    closed = _unread(unread)
    ordered = sorted(documents, key=lambda d: (d.kind, d.name, d.at))
    budgets, found = _budgets(ordered)
    problems.extend(found)
    if found:
        closed = found[0].what
    analyses, mistakes = _analyses(ordered)
    problems.extend(mistakes)
    names = {presets.NO_POLICY, *(d.name for d in ordered if d.kind == "Rollout")}
    for document in ordered:
        if document.kind != "Rollout":
            continue
        policy, found = read_policy(document, groups)
        problems.extend(found)
        if policy is not None:
            policy, wrong = gate_rules.beside(policy, names, analyses)
            problems.extend(_mistake(document, where, what) for where, what in wrong)
        if policy is None:
            broken.append(Broken(document.name, document.at, _bundles_of(document)))
        else:
            policies.append(policy)
    problems.extend(_same_names(policies))
    fallback = preset_policy(groups)
    return PolicyBook(tuple(policies), tuple(broken), tuple(problems), budgets, closed, fallback)


def _unread(unread: Collection[str]) -> str:
    """Why nothing may be released while a document that may be a policy could not be read."""
    for kind in ("Rollout", "RolloutBudget"):
        if {"", kind} & set(unread):
            return f"a {kind} document could not be read"
    return ""


def _budgets(
    documents: Iterable[PolicyDocument],
) -> tuple[tuple[RolloutBudget, ...], tuple[Problem, ...]]:
    """The shared budgets, and what is wrong with any: then nothing at all may be released."""
    budgets: list[RolloutBudget] = []
    problems: list[Problem] = []
    for document in documents:
        if document.kind in ("Rollout", "Analysis"):
            continue
        if document.kind != "RolloutBudget":
            problems.append(_not_yet(document, f"kind {document.kind}"))
            continue
        try:
            spec = BudgetSpec.model_validate(dict(document.spec))
        except ValidationError as error:
            problems.extend(_problems(document, error))
        else:
            budgets.append(spec.value(document.name, document.at))
    return tuple(budgets), tuple(problems)


def _analyses(
    documents: Iterable[PolicyDocument],
) -> tuple[dict[str, Measures], list[Problem]]:
    """Every `kind: Analysis` by name; one that cannot be read, or is there twice, is no help."""
    found: dict[str, Measures] = {}
    problems: list[Problem] = []
    every = [document for document in documents if document.kind == "Analysis"]
    names = [document.name for document in every]
    for document in every:
        try:
            measures = AnalysisSpec.model_validate(dict(document.spec)).value(document.name)
        except ValidationError as error:
            problems.extend(_problems(document, error))
            continue
        if names.count(document.name) > 1:
            problems.append(_mistake(document, "metadata.name", "another Analysis has that name"))
        else:
            found[document.name] = measures
    return found, problems


def overlaps(book: PolicyBook, bundles: Iterable[Bundle]) -> tuple[Problem, ...]:
    """A problem for each bundle that several rollouts carry."""
    found = []
    for bundle in sorted(bundles, key=lambda b: b.name):
        answer = book.policy_for(bundle.labels)
        if isinstance(answer, Unprotected) and answer.code == "rollout-overlap":
            found.append(
                Problem(
                    answer.code,
                    Severity.ERROR,
                    f"bundle {bundle.name!r} is held: {answer.reason}",
                    ", ".join(source.at or source.path for source in bundle.sources),
                    "let spec.source.bundles of the rollouts select different bundles",
                    bundle=bundle.name,
                )
            )
    return tuple(found)


def read_policy(
    document: PolicyDocument, groups: Collection[str]
) -> tuple[Policy | None, tuple[Problem, ...]]:
    """One document as a policy; `None` if any of its problems is an error."""
    try:
        spec = Spec.model_validate(dict(document.spec))
    except ValidationError as error:
        return None, _problems(document, error)
    if not spec.stages:
        return _from_preset(document, groups), ()
    mistakes = tuple(
        _mistake(document, where, what) for where, what in _mistakes_in(spec.stages, groups)
    )
    if mistakes:
        return None, mistakes
    return _policy(document.name, document.at, spec, _stages(spec.stages)), ()


def preset_policy(groups: Collection[str]) -> Policy:
    """The preset `default`, for every bundle that no rollout names."""
    whole = Spec.model_validate(presets.spec("default", groups))
    return _policy(presets.NO_POLICY, "preset default", whole, _stages(whole.stages))


def full_spec(spec: Mapping[str, Any], groups: Collection[str]) -> dict[str, Any]:
    """A document's spec as Fleet understands it: presets expanded, every default written out.

    Errors: `ValidationError`.
    """
    whole = Spec.model_validate(_expanded(spec, groups))
    names = [stage.name for stage in whole.stages]
    found = whole.model_dump(mode="json", by_alias=True, exclude_none=True)
    for index, stage in enumerate(found["stages"]):
        stage.setdefault("dependsOn", names[index - 1 : index] if index else [])
    return dict(_without_empty(found))


_EMPTY_SAYS_SOMETHING = ("dependsOn", "resetOn", "allow")


def _without_empty(value: Any) -> Any:
    """What says nothing is left out."""
    if isinstance(value, list):
        return [_without_empty(inner) for inner in value]
    if not isinstance(value, dict):
        return value
    kept = {key: _without_empty(inner) for key, inner in value.items()}
    return {
        key: inner
        for key, inner in kept.items()
        if inner not in ("", [], {}) or key in _EMPTY_SAYS_SOMETHING
    }


def _expanded(spec: Mapping[str, Any], groups: Collection[str]) -> dict[str, Any]:
    """A document without stages gets those of its preset; what it says itself stays."""
    said = dict(spec)
    if said.get("stages"):
        return said
    strategy = said.pop("strategy", None) or {}
    return presets.spec(strategy.get("preset", "default"), groups) | said


def _from_preset(document: PolicyDocument, groups: Collection[str]) -> Policy:
    spec = Spec.model_validate(_expanded(document.spec, groups))
    return _policy(document.name, document.at, spec, _stages(spec.stages))


def _policy(name: str, at: str, spec: Spec, stages: tuple[StagePolicy, ...]) -> Policy:
    bundles, targets = spec.source.bundles, spec.targets
    return Policy(
        name=name,
        at=at,
        stages=stages,
        bundles=bundles.selector() if bundles else None,
        targets=targets.selector.selector() if targets.selector else None,
        exclude=targets.exclude.selector() if targets.exclude else None,
        rules=spec.rules(),
    )


def _stages(stages: Sequence[Stage]) -> tuple[StagePolicy, ...]:
    """The stages; one that does not say depends on the one before it."""
    made = []
    for index, stage in enumerate(stages):
        linear = (stages[index - 1].name,) if index else ()
        said = stage.depends_on
        made.append(stage.value(linear if said is None else tuple(sorted(set(said)))))
    return tuple(made)


def _mistakes_in(stages: Sequence[Stage], groups: Collection[str]) -> list[tuple[str, str]]:
    names = [stage.name for stage in stages]
    found = []
    for index, stage in enumerate(stages):
        where = f"spec.stages[{index}]"
        if stage.name in names[:index]:
            found.append((f"{where}.name", f"a second stage {stage.name!r}"))
        if stage.group and stage.group not in groups:
            known = ", ".join(sorted(groups)) or "none"
            found.append((f"{where}.group", f"no cluster group {stage.group!r}; known: {known}"))
        for other in stage.depends_on or ():
            if other not in names:
                found.append((f"{where}.dependsOn", f"no stage {other!r}"))
    found.extend(gate_rules.mistakes(stages))
    if sum(1 for stage in stages if stage.select and stage.select.catch_all) > 1:
        found.append(("spec.stages", "more than one stage has catchAll"))
    if not found and in_order(_stages(stages)) is None:
        found.append(("spec.stages", "dependsOn of the stages runs in a circle"))
    return found


def _bundles_of(document: PolicyDocument) -> Selector | None:
    """What a broken document would carry, as far as that part of it can be read."""
    source = document.spec.get("source")
    bundles = source.get("bundles") if isinstance(source, Mapping) else None
    try:
        read = Source.model_validate({"bundles": bundles})
    except ValidationError:
        return None
    return read.bundles.selector() if read.bundles else None


def _same_names(policies: Sequence[Policy]) -> list[Problem]:
    return [
        Problem(
            "rollout-overlap",
            Severity.ERROR,
            f"a second rollout {policy.name!r}: the bundles of both are held",
            policy.at,
            "give it another name",
        )
        for index, policy in enumerate(policies)
        if any(policy.name == other.name for other in policies[:index])
    ]


def _problems(document: PolicyDocument, error: ValidationError) -> tuple[Problem, ...]:
    """One for each mistake."""
    found = error.errors(include_url=False, include_input=False, include_context=True)
    return tuple(dict.fromkeys(_problem(document, one) for one in found))


def _problem(document: PolicyDocument, error: ErrorDetails) -> Problem:
    path = "spec" + "".join(
        f"[{part}]" if isinstance(part, int) else f".{part}" for part in error["loc"]
    )
    said = "unknown field" if error["type"] == "extra_forbidden" else error["msg"]
    return _mistake(document, path, said.removeprefix("Value error, "))


def _mistake(document: PolicyDocument, where: str, what: str) -> Problem:
    return Problem(
        "rollout-invalid",
        Severity.ERROR,
        f"rollout {document.name!r}: {where}: {what}",
        document.at,
        _FIX,
    )


def _not_yet(document: PolicyDocument, what: str) -> Problem:
    return Problem(
        "not-yet-supported",
        Severity.ERROR,
        f"rollout {document.name!r}: {what} is not supported yet",
        document.at,
        _FIX_LATER,
    )
