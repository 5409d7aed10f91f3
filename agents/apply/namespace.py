"""The namespace that a bundle's objects go to: made if missing, labelled if asked, never owned.

It carries no owner label and is in no inventory, so nothing ever prunes it. Labels and annotations
are applied by a field manager of their own, which gives up what the bundle no longer asks for; two
bundles that want different values of one label are a conflict. A Namespace that the bundle itself
brings says its own labels.
"""

from __future__ import annotations

from agents.apply.site import Site
from agents.apply.takeover import has_fields_of
from agents.apply.wanted import Prepared
from agents.inventory import ensure_namespace, manager_of
from agents.protocol import Options
from clusters.objects import Object, ObjectKey, annotations_of, labels_of


async def make_default_namespace(site: Site, options: Options, prepared: Prepared) -> None:
    """Have the default namespace before anything needs it. Errors: `ClusterError`."""
    name = options.namespace or "default"
    inside = [key for key in prepared.objects if key.namespace == name]
    inside += [item.key for item in prepared.hooks if item.key.namespace == name]
    brings_it = ObjectKey("", "Namespace", "", name) in prepared.objects
    if not inside or (brings_it and not prepared.hooks):
        return
    live = await ensure_namespace(site.cluster, name)
    if brings_it:
        return
    labels, annotations = dict(options.namespace_labels), dict(options.namespace_annotations)
    manager = manager_of(f"{site.bundle}/namespace")
    if _has(live, labels, annotations) and (
        labels or annotations or not has_fields_of(live, {manager})
    ):
        return
    wanted: Object = {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": name, "labels": labels, "annotations": annotations},
    }
    await site.cluster.apply(wanted, manager=manager)


def _has(live: Object, labels: dict[str, str], annotations: dict[str, str]) -> bool:
    return labels.items() <= labels_of(live).items() and (
        annotations.items() <= annotations_of(live).items()
    )
