"""A bundle deployment: what one cluster is to run of one bundle, and the digest that names it.

The digest covers artifact, resolved variables and options: equal digest means nothing to do, any
difference is staged like a change of image. Commit and run are only where it came from.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from agents.protocol.health_checks import HealthCheck
from agents.protocol.ignoring import IgnoreRule
from agents.protocol.retrying import Retry
from agents.protocol.words import Deletion, DriftMode, Readiness
from clusters.objects import Digest, digest_of

ABSENT: Digest = "absent"
"""The digest of a bundle deployment that is to be removed."""


class Options(BaseModel):
    """How a bundle deployment is applied, as its sources' `fleet.yaml` says."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    namespace: str = ""
    """Where namespaced objects without a namespace go; made if missing. Empty: `default`."""
    namespace_labels: tuple[tuple[str, str], ...] = ()
    """Labels that this namespace is to have, whoever made it; sorted names with values."""
    namespace_annotations: tuple[tuple[str, str], ...] = ()
    force_namespace: bool = False
    """`namespace:` of fleet.yaml: every namespaced object goes there; cluster-wide ones fail."""
    service_account: str = ""
    """The account of `fleet-system` whose rights the bundle is applied with; empty: the agent's."""
    drift: DriftMode = DriftMode.CORRECT
    drift_force: bool = False
    """Recreate an object whose healing is refused as immutable."""
    ignore: tuple[IgnoreRule, ...] = ()
    """Fields that are neither compared nor overwritten."""
    prune: bool = True
    keep_resources: bool = False
    """Rancher Fleet's way to say `deletion: orphan`."""
    deletion: Deletion = Deletion.WAIT
    allow_wipe: bool = False
    """A revision that removes most of the bundle's objects is meant so."""
    force: bool = False
    """Recreate an object whose change is refused as immutable."""
    take_ownership: bool = False
    """Force fields that another manager owns."""
    depends_on: tuple[str, ...] = ()
    """Bundles that must be there in this cluster before this one starts."""
    accepted_states: tuple[tuple[str, tuple[Readiness, ...]], ...] = ()
    """Of which of those bundles other states are enough; for the rest it is `Ready`."""
    retry: Retry = Retry()
    timeout_seconds: int = 600
    """How long a hook may run, a wave may wait, and an object may progress until it is Degraded."""
    health_checks: tuple[HealthCheck, ...] = ()
    """Rules of health that win over Fleet's own, one for a kind."""

    @property
    def on_leaving(self) -> Deletion:
        """What becomes of the objects when the bundle leaves."""
        return Deletion.ORPHAN if self.keep_resources else self.deletion

    def place(self, said: str | None) -> str:
        """The namespace of a namespaced object that says this one itself, if any."""
        default = self.namespace or "default"
        return default if self.force_namespace or not said else said


class BundleDeployment(BaseModel):
    """What a cluster is to run of one bundle. Equal digests are the same bundle deployment."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    bundle: str
    digest: Digest
    artifact: Digest = ""
    variables: dict[str, str] = Field(default_factory=dict)
    options: Options = Options()
    commit: str = ""
    """Where it came from; no part of the digest."""

    @classmethod
    def of(
        cls,
        bundle: str,
        artifact: Digest,
        variables: dict[str, str],
        options: Options,
        commit: str = "",
    ) -> BundleDeployment:
        """The bundle deployment with its digest computed."""
        digest = deployment_digest(artifact, variables, options)
        return cls(
            bundle=bundle,
            digest=digest,
            artifact=artifact,
            variables=variables,
            options=options,
            commit=commit,
        )

    @classmethod
    def absent(cls, bundle: str, commit: str = "") -> BundleDeployment:
        """The order to remove a bundle."""
        return cls(bundle=bundle, digest=ABSENT, commit=commit)

    @property
    def is_absent(self) -> bool:
        """Is this the order to remove?"""
        return self.digest == ABSENT


def deployment_digest(artifact: Digest, variables: dict[str, str], options: Options) -> Digest:
    """Digest over artifact, resolved variables and options, and over nothing else.

    Options at their default are left out, so that a new option does not rename what exists.
    """
    said = options.model_dump(mode="json", exclude_defaults=True)
    return digest_of({"artifact": artifact, "variables": variables, "options": said})
