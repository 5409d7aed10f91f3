"""ServiceAccount: a new pod runs as an account of its namespace, which must be there.

The account `default` counts as there: a controller makes it in every namespace, and the real
server waits for it. What it mounts into the pod (the token) nobody reads here.
"""

from __future__ import annotations

from clusters.objects import Object, ObjectKey
from clusters.simulation.server.admission.attributes import Attributes, denied
from clusters.simulation.server.state import State

_DEFAULT = "default"


def assign_account(state: State, attributes: Attributes) -> Object:
    """The pod with its account, and the account's pull secrets. Errors: `AdmissionError`."""
    pod = attributes.object
    assert pod is not None
    if not attributes.creates:
        return pod
    spec = pod["spec"]
    name = spec.get("serviceAccountName") or _DEFAULT
    namespace = attributes.key.namespace
    account = state.store.get(ObjectKey("", "ServiceAccount", namespace, name))
    if account is None and name != _DEFAULT:
        raise denied(
            attributes,
            f'error looking up service account {namespace}/{name}: serviceaccount "{name}" not '
            "found",
        )
    added: Object = {"serviceAccountName": name, "serviceAccount": name}
    secrets = (account or {}).get("imagePullSecrets")
    if secrets and not spec.get("imagePullSecrets"):
        added["imagePullSecrets"] = [{"name": secret["name"]} for secret in secrets]
    return {**pod, "spec": {**spec, **added}}
