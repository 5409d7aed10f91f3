"""Admission: what a cluster's policies make of a write, and whether they let it pass.

::

    decoded, defaulted ─▶ mutate ─▶ validation, immutability ─▶ review ─▶ stored
                             deletion ─────────────────────────▶ ┘

    chain       the one table of plugins, in Kubernetes' order, and the only way in
    attributes  what a plugin gets to see of a write
    limits      LimitRange: defaults and bounds for containers, pods and claims
    accounts    ServiceAccount: the account of a pod must be there
    priorities  PriorityClass: a pod's class must be there and gives it its priority
    protection  the finalizers of new claims and volumes
    webhooks    Validating- and MutatingWebhookConfigurations, `matching` says which of them
    quotas      ResourceQuota: whether a write fits; `usage` counts one object,
                `ledgers` keeps every quota's usage

Namespaces that are missing or going away are refused earlier, by `state.require_namespace`.
ValidatingAdmissionPolicies, MutatingAdmissionPolicies and a webhook's `matchConditions` are
stored and not evaluated: nothing here reads CEL.

A cluster without quotas, limits and webhooks pays a few dictionary look-ups per write.
"""
