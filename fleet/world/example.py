"""The example fleet repository as a real Git repository, and the commits that the demo makes.

Commits are made with GitPython, as a person's tooling would; the hub reads them by `fleet.source`,
which never writes.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import git

from fleet.errors import SourceError

IMAGE_FILE = "apps/base/storefront/kustomization.yaml"
_HERE = Path(__file__).resolve()


def example_dir() -> Path:
    """Where the example fleet lies: in the wheel, or in the checkout.

    Errors: `SourceError` if it is in neither.
    """
    places = (_HERE.parents[1] / "example-fleet", _HERE.parents[2] / "deploy" / "example-fleet")
    for place in places:
        if (place / "clusters").is_dir():
            return place
    raise SourceError(
        "the example fleet is missing from this installation",
        at=str(places[1]),
        fix="run from a checkout, or name a repository with --repo",
    )


class ExampleRepository:
    """A work tree under `root` with one branch, `main`."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @classmethod
    def make(cls, root: Path) -> ExampleRepository:
        """Copy the example fleet to `root` and commit it."""
        shutil.copytree(example_dir(), root)
        made = git.Repo.init(root, initial_branch="main")
        with made.config_writer() as config:
            config.set_value("user", "name", "Fleet demo")
            config.set_value("user", "email", "demo@fleet.invalid")
            config.set_value("commit", "gpgsign", "false")
        repository = cls(root)
        repository.commit("An example fleet")
        return repository

    def set_image_tag(self, old: str, new: str, message: str) -> str:
        """Change the storefront's tag in the base that every group shares; the commit's id."""
        path = self.root / IMAGE_FILE
        text = path.read_text(encoding="utf-8")
        if f"newTag: {old}" not in text:
            raise SourceError(f"tag {old} is not there to change", at=str(path))
        path.write_text(text.replace(f"newTag: {old}", f"newTag: {new}"), encoding="utf-8")
        return self.commit(message)

    def commit(self, message: str) -> str:
        """Commit everything; the commit's id."""
        with git.Repo(self.root) as repository:
            repository.git.add("--all")
            repository.git.commit("--quiet", f"--message={message}")
            return repository.head.commit.hexsha

    def revert(self, commit: str) -> str:
        """`git revert` of a commit; the new commit's id."""
        with git.Repo(self.root) as repository:
            repository.git.revert("--no-edit", commit)
            return repository.head.commit.hexsha
