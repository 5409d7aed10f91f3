"""The three policies that the history goes through: `safe`, `fast`, and a DAG of the shop's own.

Each is the text of `clusters/rollout.yaml`. A freeze lives in `clusters/budget.yaml`, the same for
all. `EDITED` is what the policy edit of the history makes of each.
"""

from __future__ import annotations

SAFE = """\
apiVersion: fleet.dev/v1
kind: Rollout
metadata: {name: shop}
spec:
  strategy: {preset: safe}
"""
FAST = SAFE.replace("preset: safe", "preset: fast")
DAG = """\
apiVersion: fleet.dev/v1
kind: Rollout
metadata: {name: shop}
spec:
  source: {coalesce: 30s}
  membership: {maxRemovalPerRun: "10%"}
  stages:
    - name: canary
      group: staging
      gates: {after: [{soak: {min: 15m, resetOn: [HealthRegression]}}]}
    - name: eu
      dependsOn: [canary]
      select: {matchLabels: {env: production, region: eu}}
      parallelism: {ramp: [1, "100%"]}
      gates:
        before: [{approval: {groups: [sre]}}, {proven: {in: canary}}]
        after: [{soak: 10m}]
    - name: us
      dependsOn: [canary]
      select: {matchLabels: {env: production, region: us}}
      order: {by: Label, key: size}
      gates:
        before:
          - window: {timezone: America/New_York, allow: [{cron: "0 9 * * MON-FRI", duration: 8h}]}
          - proven: {in: canary}
        after: [{soak: 10m}]
    - name: rest
      dependsOn: [eu, us]
      select: {catchAll: true}
      parallelism: "50%"
      failureBudget: "25%"
      gates: {before: [{proven: {in: canary}}]}
  onFailure: {action: Rollback, scope: Stage}
  supersede: {policy: FinishStage}
"""
POLICIES = {"safe": SAFE, "fast": FAST, "dag": DAG}
EDITED = {
    "safe": SAFE + "  source: {coalesce: 1m}\n",
    "fast": FAST + "  source: {coalesce: 1m}\n",
    "dag": DAG.replace("coalesce: 30s", "coalesce: 1m").replace("min: 15m", "min: 20m"),
}

BUDGET = """\
apiVersion: fleet.dev/v1
kind: RolloutBudget
metadata: {name: shop}
spec:
  freeze: {active: false}
"""
FROZEN = BUDGET.replace("active: false", 'active: true, reason: "the spring sale"')
