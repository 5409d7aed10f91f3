"""One bundle for one cluster: which source, which customization, which values, and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from agents.protocol import Options
from clusters.objects import canonical_bytes, digest_of
from fleet.model import (
    Bundle,
    ClusterGroup,
    Customization,
    Form,
    Problem,
    Selector,
    Severity,
    Source,
    TargetRule,
    merge_values,
)
from fleet.placement.facets import Facts
from fleet.placement.functions import TemplateError
from fleet.placement.values import fill_text, fill_values

CLUSTER_NAMESPACE = "fleet-default"
"""What Rancher Fleet calls the namespace of clusters; this Fleet has none."""


_DEFAULTS = Options()


@dataclass(frozen=True, slots=True)
class Placed:
    """A bundle as one class of clusters gets it."""

    bundle: str
    source: Source
    reason: str
    customization: str = ""
    options: Options = _DEFAULTS
    variables: Mapping[str, str] = field(default_factory=dict)
    """Declared names with the values for these clusters."""
    groups: tuple[str, ...] = ()
    """GROUP: from whose builds it comes; several only if all of them give the same."""
    kustomize_dir: str = ""
    overlays: tuple[str, ...] = ()
    chart: str = ""
    release_name: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)
    kubernetes_version: str = ""
    api_versions: tuple[str, ...] = ()
    problem: Problem | None = None
    """Why it cannot be had: the clusters keep what they run. `{clusters}` stands for them."""

    def identity(self) -> tuple[Any, ...]:
        """Hashable; equal for equal values. A bundle's sources differ by their paths."""
        plain = (n for n in self.__slots__ if n not in ("source", "values", "variables"))
        said = digest_of([self.values, self.variables]) if self.values or self.variables else ""
        return (self.source.path, said, *(getattr(self, name) for name in plain))


@dataclass(frozen=True, slots=True)
class Reach:
    """A source that reaches a cluster, and why."""

    source: Source
    reason: str
    groups: tuple[str, ...] = ()
    """GROUP: the groups that list it and hold the cluster."""


def reaching(bundle: Bundle, facts: Facts, groups: Mapping[str, ClusterGroup]) -> list[Reach]:
    """The sources of the bundle that reach the cluster."""
    found = (_reach(bundle, source, facts, groups) for source in bundle.sources)
    return [reach for reach in found if reach is not None]


def _reach(
    bundle: Bundle, source: Source, facts: Facts, groups: Mapping[str, ClusterGroup]
) -> Reach | None:
    if source.targets is not None:
        for index, rule in enumerate(source.targets):
            if matches(rule, facts, groups):
                return Reach(source, f"targets[{rule.name or index}] of {source.at}")
        return None
    common = tuple(name for name in facts.groups if name in source.groups)
    if source.form is Form.GROUP:
        if not common:
            return None
        file = groups[common[0]].file
        own = source.path == groups[common[0]].kustomization
        reason = f"{file} brings it itself" if own else f"listed in {file}"
        return Reach(source, reason, common)
    if common:
        return Reach(source, f"{source.path} by place, group {common[0]}")
    if not source.everywhere:
        return None
    able = not source.listable or not facts.groups
    if able or any(not groups[name].kustomization for name in facts.groups):
        return Reach(source, f"{source.path} by place, every cluster")
    return None


def matches(
    rule: TargetRule | Customization, facts: Facts, groups: Mapping[str, ClusterGroup]
) -> bool:
    """Does all that the rule says hold? One that says nothing matches nothing."""
    said = [
        *([rule.cluster == facts.cluster.name] if rule.cluster else []),
        *([rule.group in facts.groups] if rule.group else []),
        *([_in_group(rule.group_selector, facts, groups)] if rule.group_selector else []),
        *([rule.selector.matches(facts.cluster.labels)] if rule.selector else []),
    ]
    return bool(said) and all(said)


def _in_group(selector: Selector, facts: Facts, groups: Mapping[str, ClusterGroup]) -> bool:
    return any(selector.matches(groups[name].labels) for name in facts.groups)


def place_bundle(
    bundle: Bundle, found: list[Reach], facts: Facts, groups: Mapping[str, ClusterGroup]
) -> Placed | None:
    """The bundle for the cluster that `found` reaches; `None` if it does not get it."""
    if not found:
        return None
    first = found[0]
    if len(found) > 1:
        return Placed(bundle.name, first.source, first.reason, problem=_conflict(bundle, found))
    source = first.source
    chosen = next((c for c in source.customizations if matches(c, facts, groups)), None)
    if chosen is not None and chosen.do_not_deploy:
        return None
    name = chosen.name if chosen else ""
    try:
        return _resolve(bundle, first, chosen, facts)
    except TemplateError as error:
        problem = _untemplatable(bundle, source, name, error)
        return Placed(bundle.name, source, first.reason, name, problem=problem)


def _conflict(bundle: Bundle, found: list[Reach]) -> Problem:
    return Problem(
        code="two-sources",
        severity=Severity.ERROR,
        what=f"two sources of bundle {bundle.name!r} reach {{clusters}}",
        at=", ".join(sorted(reach.source.path for reach in found)),
        fix="give one of them another name in its fleet.yaml",
        bundle=bundle.name,
    )


def _untemplatable(bundle: Bundle, source: Source, name: str, error: TemplateError) -> Problem:
    where = f" (customization {name})" if name else ""
    return Problem(
        code="template",
        severity=Severity.ERROR,
        what=f"bundle {bundle.name}: values{where} cannot be filled in for {{clusters}}: {error}",
        at=source.at,
        fix="declare what is missing for the cluster, or use helm.disablePreProcess if the "
        "`${` is not meant for Fleet",
        bundle=bundle.name,
    )


def _resolve(bundle: Bundle, reach: Reach, chosen: Customization | None, facts: Facts) -> Placed:
    source, cluster = reach.source, facts.cluster
    context = {
        "ClusterName": cluster.name,
        "ClusterNamespace": CLUSTER_NAMESPACE,
        "ClusterLabels": cluster.labels,
        "ClusterAnnotations": cluster.annotations,
        "ClusterValues": cluster.values,
    }
    variables = {**source.variables, **(chosen.variables if chosen else {})}
    helm = source.form is Form.HELM
    variables = {name: fill_text(text, context) for name, text in sorted(variables.items())}
    chart = _helm(bundle, source, chosen, context) if helm else {}
    try:
        canonical_bytes([variables, chart])
    except TypeError as error:
        raise TemplateError(f"the result is nothing that JSON can hold: {error}") from error
    return Placed(
        bundle=bundle.name,
        source=source,
        reason=reach.reason,
        customization=chosen.name if chosen else "",
        options=_options(source.options, chosen),
        variables=variables,
        groups=reach.groups,
        kustomize_dir=(chosen.kustomize_dir if chosen else "") or source.kustomize_dir,
        overlays=(*source.overlays, *(chosen.overlays if chosen else ())),
        kubernetes_version=cluster.kubernetes_version if helm else "",
        api_versions=cluster.api_versions if helm else (),
        **chart,
    )


def _helm(
    bundle: Bundle, source: Source, chosen: Customization | None, context: Mapping[str, Any]
) -> dict[str, Any]:
    low, high = source.helm, chosen.helm if chosen else None
    specs = [spec for spec in (low, high) if spec is not None]
    values: dict[str, Any] = {}
    for spec in specs:
        values = merge_values(values, spec.values)
    if not any(spec.disable_templating for spec in specs):
        values = fill_values(values, context)
    return {
        "chart": next((s.chart for s in reversed(specs) if s.chart), ""),
        "release_name": next((s.release_name for s in reversed(specs) if s.release_name), "")
        or bundle.name,
        "values": values,
    }


def _options(options: Options, chosen: Customization | None) -> Options:
    if chosen is None:
        return options
    changes = dict(chosen.options)
    if "ignore" in changes:
        changes["ignore"] = (*options.ignore, *changes["ignore"])
    if chosen.namespace:
        changes |= {"namespace": chosen.namespace, "force_namespace": True}
    elif chosen.default_namespace and not options.force_namespace:
        changes["namespace"] = chosen.default_namespace
    return options.model_copy(update=changes) if changes else options
