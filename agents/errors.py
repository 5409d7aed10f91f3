"""What can go wrong between an agent and its hub, its disk and one bundle: a closed tree.

::

    AgentError
    ├── HubError
    │   ├── HubUnreachableError    no answer in time          → go on healing, ask again later
    │   ├── HubUnauthorizedError   401/403: wrong token       → the process ends, a person mends it
    │   ├── ProtocolMismatchError  no common wire version     → the process ends, upgrade one side
    │   ├── OfferRefusedError      409: offer withdrawn/held  → forget the offer
    │   ├── HubKeyError            not the hub we know        → go on healing, believe nothing
    │   └── HubAnswerError         any other unusable answer  → as unreachable
    ├── LeaseLostError             another agent took over    → the process ends, and waits anew
    ├── StateError                 the state directory cannot be written → the process ends
    └── BundleError                one bundle deployment cannot go on    → reported, others go on

What a cluster answers is `clusters.errors`; `cure_of` knows what to do about each of its codes.
Never holds a token or a Secret's value.
"""

from __future__ import annotations


class AgentError(Exception):
    """Prints as what / at / fix; `code` is stable."""

    code = "agent-error"

    def __init__(self, what: str, *, at: str = "", fix: str = "", code: str = "") -> None:
        super().__init__(what)
        self.what, self.at, self.fix = what, at, fix
        if code:
            self.code = code

    def __str__(self) -> str:
        lines = [self.what]
        if self.at:
            lines.append(f"  at:  {self.at}")
        if self.fix:
            lines.append(f"  fix: {self.fix}")
        return "\n".join(lines)


class HubError(AgentError):
    """The hub did not do what was asked."""

    code = "hub"


class HubUnreachableError(HubError):
    """No answer at all, or not in time."""

    code = "hub-unreachable"


class HubUnauthorizedError(HubError):
    """The hub does not take this token for this cluster."""

    code = "hub-unauthorized"


class ProtocolMismatchError(HubError):
    """Hub and agent have no version of the wire in common."""

    code = "protocol-mismatch"


class OfferRefusedError(HubError):
    """The offer may not be started: withdrawn, ended or held."""

    code = "offer-refused"


class HubKeyError(HubError):
    """What answered is not the hub whose key is pinned, or sent what that hub did not sign."""

    code = "hub-key"


class HubAnswerError(HubError):
    """An answer that is neither a success nor one of the known refusals; `status` is HTTP's."""

    code = "hub-answer"

    def __init__(self, what: str, *, status: int = 0, at: str = "", fix: str = "") -> None:
        super().__init__(what, at=at, fix=fix)
        self.status = status


class LeaseLostError(AgentError):
    """Another agent took over this cluster; two must never write to it."""

    code = "lease-lost"


class StateError(AgentError):
    """The state directory cannot be read or written, so no grant can be kept."""

    code = "state-directory"


class BundleError(AgentError):
    """One bundle deployment cannot go on as it is; the code says why."""

    code = "bundle"


_CURES = {
    "conflict": "remove the field in Git, or let the other manager give it up, or set "
    "takeOwnership",
    "owned-elsewhere": "let only one bundle have this object",
    "immutable": "set the field back in Git, or allow to recreate the object with force: true",
    "invalid": "correct the object in Git",
    "malformed": "correct the object in Git",
    "quota": "raise the ResourceQuota or ask for less",
    "admission": "ask the owner of that webhook or policy",
    "forbidden": "give the agent's service account that right",
    "unauthorized": "renew the agent's credentials for this cluster",
    "stale": "see who keeps changing the object",
    "terminating": "wait until the namespace is gone, or find what its finalizers wait for",
    "not-found": "name an existing namespace, or put the Namespace into the bundle",
    "kind-not-found": "install the CRD, for example by a bundle in dependsOn",
    "protected": "annotate the live object with fleet.dev/prune: enabled if it may go",
    "cluster-scoped": "remove `namespace:` from fleet.yaml, or this object from the bundle",
    "duplicate": "keep one of the two",
    "inventory": "restore the ConfigMap, or delete it: the objects are then adopted again",
    "webhook": "see that the webhook's backend runs and can be reached",
    "wipe-guard": "if it is meant, say allowWipe: true in fleet.yaml, or annotate the bundle's "
    'ConfigMap in fleet-system with fleet.dev/allow-wipe: "true"',
    "hook-failed": "read the hook's logs; correct it in Git",
    "wave-unhealthy": "see why it is not healthy; what comes after it is applied then",
    "delete-hooks": "delete the bundle's Secret in fleet-system: it then goes without its hooks",
    "artifact": "look at the hub's artifact store; the agent asks again",
    "digest": "upgrade the agent if the hub is newer: it may ask for an option that this one does "
    "not know",
    "variables": "declare the variable or correct the text in Git",
}


def cure_of(code: str) -> str:
    """What a person can do about an error of that code; empty if only waiting helps."""
    return _CURES.get(code, "")
