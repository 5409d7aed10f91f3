"""The JSON Schema of `kind: Rollout`, `RolloutBudget` and `Analysis`, for editors and for CI.

It is made from the models that Fleet reads documents with, so both refuse the same; only what a
schema cannot say (names of stages that exist, circles, a year at most) is left to Fleet alone.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter
from pydantic.json_schema import GenerateJsonSchema

from fleet.rollout.analysis_document import AnalysisSpec
from fleet.rollout.budget_document import BudgetSpec
from fleet.rollout.document import Spec
from fleet.rollout.fields import Name, Part


class Metadata(BaseModel):
    """What Kubernetes knows of an object; Fleet reads the name."""

    model_config = ConfigDict(extra="allow")

    name: Name


class Rollout(Part):
    """A rollout policy: which bundles, through which stages, with which protection."""

    api_version: Literal["fleet.dev/v1"]
    kind: Literal["Rollout"]
    metadata: Metadata
    spec: Spec = Spec()


class RolloutBudget(Part):
    """Caps that all runs share, quiet time, and the freeze."""

    api_version: Literal["fleet.dev/v1"]
    kind: Literal["RolloutBudget"]
    metadata: Metadata
    spec: BudgetSpec = BudgetSpec()


class Analysis(Part):
    """What is measured, for `analysis` gates."""

    api_version: Literal["fleet.dev/v1"]
    kind: Literal["Analysis"]
    metadata: Metadata
    spec: AnalysisSpec


Document: TypeAdapter[Rollout | RolloutBudget | Analysis] = TypeAdapter(
    Annotated[Rollout | RolloutBudget | Analysis, Field(discriminator="kind")]
)


def schema() -> dict[str, Any]:
    """One schema for all of them, chosen by `kind`."""
    found = Document.json_schema(by_alias=True, schema_generator=_Generator)
    return {"$schema": _Generator.schema_dialect, "title": "Fleet rollouts", **found}


class _Generator(GenerateJsonSchema):
    """Without titles that only repeat names, and without defaults that are no YAML of these kinds.

    Defaults of durations and amounts are values here, not texts; `fleet rollout plan` prints
    every default as it is written.
    """

    def field_title_should_be_set(self, schema: Any) -> bool:
        """Never: a title `Clusterdeadline` helps nobody."""
        return False

    def default_schema(self, schema: Any) -> dict[str, Any]:
        """The field's own schema, with plain defaults only."""
        found = super().default_schema(schema)
        if not isinstance(found.get("default"), bool | str | int):
            found.pop("default", None)
        return found
