"""The numbered steps from an empty file to today's tables. A step that was released never changes.

Rows stand under the names that Git gives (cluster, bundle); digests and generations say which
content. Times are text (see `codec`), lists and maps are JSON. What people ask in SQL are the views
of `fleet.store.views`, which are made anew whenever the hub opens the file.

::

    cluster ──< bundle_deployment >── bundle          wanted, current, reported, side by side
       │  └──< assignment ──< assignment_bundle       by generation, never reused
       ├── agent, agent_token, agent_incarnation      who speaks for it
       └──< group_member >── cluster_group
    run ──< run_bundle, run_cluster, decision         one attempt; its plan is never edited
     └──< run_amendment                               who joined, left or changed stage since
    veto                                              digests that failed, until lifted
    held_change                                       what is wanted and not released, and why
    sync ──< sync_bundle                              who was asked to reconcile now, with answers
    content                                           what rollouts deliver that track other commits
    plan_commit, problem, event, meta
"""

from __future__ import annotations

import sqlite_utils
from sqlite_utils.migrations import Migrations

migrations = Migrations("fleet")


@migrations(name="0001_first")
def first(db: sqlite_utils.Database) -> None:
    """Everything that the main job needs, with `source` and `project` from the first day."""
    for statement in (*_DECLARED, *_AGENTS, *_DEPLOYMENTS, *_RUNS, *_HISTORY):
        db.execute(statement)
    db.table("meta").insert({"key": "epoch", "value": "1"})


@migrations(name="0002_decisions")
def decisions(db: sqlite_utils.Database) -> None:
    """Who a person was when they decided, until when it holds, and what else it can be about."""
    for column in (
        "groups TEXT NOT NULL DEFAULT '[]'",
        "method TEXT NOT NULL DEFAULT ''",
        "expires_at TEXT",
        "gate TEXT NOT NULL DEFAULT ''",
        "bundle TEXT NOT NULL DEFAULT ''",
        "digests TEXT NOT NULL DEFAULT '[]'",
    ):
        db.execute(f"ALTER TABLE decision ADD COLUMN {column}")


@migrations(name="0003_aliases")
def aliases(db: sqlite_utils.Database) -> None:
    """Under which other names Git knows a person who decided."""
    db.execute("ALTER TABLE decision ADD COLUMN aliases TEXT NOT NULL DEFAULT '[]'")


@migrations(name="0004_syncs")
def syncs(db: sqlite_utils.Database) -> None:
    """Syncs that people ask for, and what each bundle deployment answered."""
    for statement in _SYNCS:
        db.execute(statement)


@migrations(name="0005_drift")
def drift(db: sqlite_utils.Database) -> None:
    """Which of the drifted objects are contested, and which ones somebody paused."""
    for column in ("contested", "paused"):
        db.execute(f"ALTER TABLE bundle_deployment ADD COLUMN {column} INTEGER NOT NULL DEFAULT 0")


@migrations(name="0006_proofs")
def proofs(db: sqlite_utils.Database) -> None:
    """What artifacts hold, and for how long it was Healthy where something newer runs by now."""
    db.execute(
        "CREATE TABLE artifact_material (artifact TEXT PRIMARY KEY, images TEXT NOT NULL,"
        " charts TEXT NOT NULL) WITHOUT ROWID"
    )
    db.execute(
        "CREATE TABLE healthy_span (cluster TEXT NOT NULL, bundle TEXT NOT NULL,"
        " digest TEXT NOT NULL, seconds REAL NOT NULL, until TEXT NOT NULL,"
        " PRIMARY KEY (cluster, bundle, digest)) WITHOUT ROWID"
    )


@migrations(name="0007_caps")
def caps(db: sqlite_utils.Database) -> None:
    """What shared caps count is found without reading the whole fleet."""
    db.execute(
        "CREATE INDEX bundle_deployment_not_well ON bundle_deployment (cluster)"
        " WHERE current <> '' AND gone = 0 AND (reported_generation <> generation"
        " OR sync IN ('Syncing', 'Waiting', 'Failed', 'Unknown')"
        " OR health NOT IN ('Healthy', 'Suspended'))"
    )
    db.execute("CREATE INDEX assignment_by_offer ON assignment (offered_at)")


@migrations(name="0008_way_back")
def way_back(db: sqlite_utils.Database) -> None:
    """What a cluster last baked of a bundle, and which assignments take it back there."""
    db.execute("ALTER TABLE assignment ADD COLUMN reverts INTEGER NOT NULL DEFAULT 0")
    for column in ("baked", "baked_run", "baked_before"):
        db.execute(f"ALTER TABLE bundle_deployment ADD COLUMN {column} TEXT NOT NULL DEFAULT ''")
    db.execute("ALTER TABLE bundle_deployment ADD COLUMN baked_at TEXT")


@migrations(name="0009_vetoes")
def vetoes(db: sqlite_utils.Database) -> None:
    """Digests that failed, and runs that a person opened again."""
    db.execute(
        """CREATE TABLE veto (
            bundle TEXT NOT NULL, digest TEXT NOT NULL, run TEXT NOT NULL DEFAULT '',
            why TEXT NOT NULL DEFAULT '', at TEXT NOT NULL,
            lifted_at TEXT, lifted_why TEXT NOT NULL DEFAULT '',
            PRIMARY KEY (bundle, digest)) WITHOUT ROWID"""
    )
    db.execute("ALTER TABLE run ADD COLUMN reopened INTEGER NOT NULL DEFAULT 0")


@migrations(name="0010_readings")
def readings(db: sqlite_utils.Database) -> None:
    """What machines said when gates asked them: the newest answer for each gate of a run."""
    db.execute(
        "CREATE TABLE reading (run TEXT NOT NULL, gate TEXT NOT NULL, answer TEXT NOT NULL,"
        " at TEXT NOT NULL, since TEXT, samples INTEGER, why TEXT NOT NULL,"
        " strikes INTEGER NOT NULL, PRIMARY KEY (run, gate)) WITHOUT ROWID"
    )


@migrations(name="0011_finishing")
def finishing(db: sqlite_utils.Database) -> None:
    """Runs that finish the stages that they have started, for a newer one that waits."""
    db.execute("ALTER TABLE run ADD COLUMN finishing INTEGER NOT NULL DEFAULT 0")


@migrations(name="0012_trouble")
def trouble(db: sqlite_utils.Database) -> None:
    """Why an agent does not follow its target, as it says."""
    db.execute("ALTER TABLE agent ADD COLUMN trouble TEXT NOT NULL DEFAULT ''")


@migrations(name="0013_amendments")
def amendments(db: sqlite_utils.Database) -> None:
    """Since when clusters are declared, and what joins, leaves and relabels changed in runs."""
    db.execute("ALTER TABLE cluster ADD COLUMN declared_at TEXT NOT NULL DEFAULT ''")
    db.execute(
        "CREATE TABLE run_amendment (run TEXT NOT NULL, number INTEGER NOT NULL,"
        " at TEXT NOT NULL, amendment TEXT NOT NULL, PRIMARY KEY (run, number)) WITHOUT ROWID"
    )
    db.execute(
        """CREATE TRIGGER run_amendment_stays BEFORE UPDATE ON run_amendment
        BEGIN SELECT RAISE(ABORT, 'amendments are append-only'); END"""
    )


@migrations(name="0014_vetoes_by_people")
def vetoes_by_people(db: sqlite_utils.Database) -> None:
    """Who vetoed by hand: what a run vetoed its answers lift, what a person did only people do."""
    db.execute("ALTER TABLE veto ADD COLUMN actor TEXT NOT NULL DEFAULT ''")


@migrations(name="0015_bisection")
def bisection(db: sqlite_utils.Database) -> None:
    """What the clusters that failed in a run have in common, as of its last breach."""
    db.execute("ALTER TABLE run ADD COLUMN bisection TEXT NOT NULL DEFAULT ''")


@migrations(name="0016_commits")
def commits(db: sqlite_utils.Database) -> None:
    """Who made a commit and those that came with it, and what its message asks for."""
    db.execute("ALTER TABLE plan_commit ADD COLUMN authors TEXT NOT NULL DEFAULT '[]'")
    db.execute("ALTER TABLE plan_commit ADD COLUMN trailers TEXT NOT NULL DEFAULT '[]'")


@migrations(name="0017_content")
def content(db: sqlite_utils.Database) -> None:
    """Which other commits rollouts delivered (`source.track`), as what, since when."""
    db.execute(
        "CREATE TABLE content (number INTEGER PRIMARY KEY AUTOINCREMENT, rollout TEXT NOT NULL,"
        " ref TEXT NOT NULL, commit_id TEXT NOT NULL, seen_at TEXT NOT NULL)"
    )


@migrations(name="0018_leaving")
def leaving(db: sqlite_utils.Database) -> None:
    """What becomes of a cluster that is no longer declared, and how far that has come."""
    db.execute("ALTER TABLE cluster ADD COLUMN deletion TEXT NOT NULL DEFAULT 'orphan'")
    db.execute("ALTER TABLE cluster ADD COLUMN leaving TEXT NOT NULL DEFAULT ''")
    db.execute("ALTER TABLE cluster ADD COLUMN left_at TEXT")
    db.execute("ALTER TABLE cluster ADD COLUMN forgotten INTEGER NOT NULL DEFAULT 0")


@migrations(name="0019_retention")
def retention(db: sqlite_utils.Database) -> None:
    """Decisions outlive their runs by the time that their rollout keeps them, and no longer."""
    db.execute("DROP TRIGGER decision_stays")
    db.execute("DROP TRIGGER decision_is_kept")
    db.execute("ALTER TABLE decision ADD COLUMN rollout TEXT NOT NULL DEFAULT ''")
    db.execute(
        "UPDATE decision SET rollout = coalesce("
        "(SELECT r.rollout FROM run r WHERE r.uid = decision.run), '')"
    )
    db.execute("CREATE INDEX decision_by_age ON decision (rollout, at)")
    db.execute(
        """CREATE TRIGGER decision_stays BEFORE UPDATE ON decision
        BEGIN SELECT RAISE(ABORT, 'decisions are append-only'); END"""
    )
    db.execute(
        """CREATE TRIGGER decision_is_kept BEFORE DELETE ON decision
        WHEN OLD.rollout = '' OR OLD.at >= coalesce(
            (SELECT value FROM meta WHERE key = 'decisions-since:' || OLD.rollout), '')
        BEGIN SELECT RAISE(ABORT, 'decisions are append-only'); END"""
    )


_OWNER = "source TEXT NOT NULL DEFAULT 'main', project TEXT NOT NULL DEFAULT 'default'"

_DECLARED = (
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    f"""CREATE TABLE cluster (
        uid INTEGER PRIMARY KEY AUTOINCREMENT, {_OWNER},
        name TEXT NOT NULL UNIQUE,
        declared INTEGER NOT NULL,
        labels TEXT NOT NULL DEFAULT '{{}}',
        kubernetes_version TEXT NOT NULL DEFAULT '',
        at TEXT NOT NULL DEFAULT '',
        serial INTEGER NOT NULL DEFAULT 1,
        generation INTEGER NOT NULL DEFAULT 0)""",
    f"""CREATE TABLE cluster_group (
        name TEXT PRIMARY KEY, {_OWNER}, at TEXT NOT NULL DEFAULT '') WITHOUT ROWID""",
    """CREATE TABLE group_member (
        group_name TEXT NOT NULL, cluster TEXT NOT NULL,
        PRIMARY KEY (group_name, cluster)) WITHOUT ROWID""",
    "CREATE INDEX group_member_by_cluster ON group_member (cluster)",
    f"""CREATE TABLE bundle (
        name TEXT PRIMARY KEY, {_OWNER},
        declared INTEGER NOT NULL,
        labels TEXT NOT NULL DEFAULT '{{}}',
        depends_on TEXT NOT NULL DEFAULT '[]',
        sources TEXT NOT NULL DEFAULT '[]') WITHOUT ROWID""",
)

_AGENTS = (
    """CREATE TABLE agent_token (
        cluster TEXT PRIMARY KEY, hash TEXT NOT NULL UNIQUE,
        created_at TEXT NOT NULL) WITHOUT ROWID""",
    """CREATE TABLE agent (
        cluster TEXT PRIMARY KEY,
        incarnation TEXT NOT NULL, sequence INTEGER NOT NULL DEFAULT -1,
        registered_at TEXT NOT NULL, last_seen TEXT NOT NULL, online INTEGER NOT NULL,
        protocol INTEGER NOT NULL DEFAULT 1,
        agent_version TEXT NOT NULL DEFAULT '', kubernetes_version TEXT NOT NULL DEFAULT '',
        nodes INTEGER NOT NULL DEFAULT 0,
        epoch INTEGER NOT NULL DEFAULT 0, serial INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID""",
    "CREATE INDEX agent_by_last_seen ON agent (online, last_seen)",
    """CREATE TABLE agent_incarnation (
        cluster TEXT NOT NULL, incarnation TEXT NOT NULL,
        first_seen TEXT NOT NULL, last_seen TEXT NOT NULL, replaced_at TEXT,
        PRIMARY KEY (cluster, incarnation)) WITHOUT ROWID""",
    """CREATE INDEX agent_incarnation_replaced ON agent_incarnation (last_seen)
        WHERE replaced_at IS NOT NULL""",
)

_DEPLOYMENTS = (
    """CREATE TABLE deployment_body (
        digest TEXT PRIMARY KEY, artifact TEXT NOT NULL, body TEXT NOT NULL) WITHOUT ROWID""",
    f"""CREATE TABLE bundle_deployment (
        cluster TEXT NOT NULL, bundle TEXT NOT NULL, {_OWNER},
        wanted TEXT NOT NULL DEFAULT '', wanted_commit TEXT NOT NULL DEFAULT '',
        held INTEGER NOT NULL DEFAULT 0,
        reason TEXT NOT NULL DEFAULT '', source_path TEXT NOT NULL DEFAULT '',
        customization TEXT NOT NULL DEFAULT '', objects_wanted INTEGER NOT NULL DEFAULT 0,
        images TEXT NOT NULL DEFAULT '[]', charts TEXT NOT NULL DEFAULT '[]',
        current TEXT NOT NULL DEFAULT '', current_commit TEXT NOT NULL DEFAULT '',
        current_run TEXT NOT NULL DEFAULT '', generation INTEGER NOT NULL DEFAULT 0,
        granted_at TEXT, gone INTEGER NOT NULL DEFAULT 0,
        previous TEXT NOT NULL DEFAULT '',
        reported TEXT NOT NULL DEFAULT '', reported_generation INTEGER NOT NULL DEFAULT 0,
        sync TEXT NOT NULL DEFAULT 'Unknown', health TEXT NOT NULL DEFAULT 'Unknown',
        code TEXT NOT NULL DEFAULT '', message TEXT NOT NULL DEFAULT '',
        since TEXT, reported_at TEXT,
        objects_total INTEGER NOT NULL DEFAULT 0, objects_ready INTEGER NOT NULL DEFAULT 0,
        drifted INTEGER NOT NULL DEFAULT 0, healed INTEGER NOT NULL DEFAULT 0,
        objects TEXT NOT NULL DEFAULT '[]',
        stray TEXT NOT NULL DEFAULT '', stray_generation INTEGER, stray_at TEXT,
        PRIMARY KEY (cluster, bundle)) WITHOUT ROWID""",
    "CREATE INDEX bundle_deployment_by_bundle ON bundle_deployment (bundle, cluster)",
    """CREATE TABLE assignment (
        cluster TEXT NOT NULL, generation INTEGER NOT NULL, run TEXT NOT NULL,
        offered_at TEXT NOT NULL, lease_seconds REAL NOT NULL,
        started_at TEXT, incarnation TEXT NOT NULL DEFAULT '',
        withdrawn_at TEXT, withdrawn_why TEXT NOT NULL DEFAULT '',
        PRIMARY KEY (cluster, generation)) WITHOUT ROWID""",
    "CREATE INDEX assignment_by_run ON assignment (run, cluster, generation)",
    """CREATE INDEX assignment_open ON assignment (cluster)
        WHERE started_at IS NULL AND withdrawn_at IS NULL""",
    """CREATE TABLE assignment_bundle (
        cluster TEXT NOT NULL, generation INTEGER NOT NULL, bundle TEXT NOT NULL,
        digest TEXT NOT NULL, previous TEXT NOT NULL DEFAULT '',
        PRIMARY KEY (cluster, generation, bundle)) WITHOUT ROWID""",
)

_RUNS = (
    f"""CREATE TABLE run (
        uid TEXT PRIMARY KEY, number INTEGER NOT NULL, {_OWNER},
        rollout TEXT NOT NULL, lane TEXT NOT NULL, commit_id TEXT NOT NULL,
        title TEXT NOT NULL DEFAULT '', author TEXT NOT NULL DEFAULT '',
        created_at TEXT NOT NULL, ended_at TEXT, wake_at TEXT,
        plan TEXT NOT NULL, plan_hash TEXT NOT NULL,
        state TEXT NOT NULL, intent TEXT NOT NULL, reason TEXT NOT NULL DEFAULT '',
        marks TEXT NOT NULL, stages TEXT NOT NULL DEFAULT '[]',
        superseded_by TEXT NOT NULL DEFAULT '',
        version INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID""",
    "CREATE INDEX run_active ON run (number) WHERE ended_at IS NULL",
    """CREATE TABLE run_bundle (
        bundle TEXT NOT NULL, run TEXT NOT NULL, PRIMARY KEY (bundle, run)) WITHOUT ROWID""",
    """CREATE TABLE run_cluster (
        run TEXT NOT NULL, cluster TEXT NOT NULL, stage TEXT NOT NULL, state TEXT NOT NULL,
        reason TEXT NOT NULL DEFAULT '', code TEXT NOT NULL DEFAULT '',
        PRIMARY KEY (run, cluster)) WITHOUT ROWID""",
    """CREATE TABLE held_change (
        bundle TEXT NOT NULL, cluster TEXT NOT NULL, code TEXT NOT NULL, reason TEXT NOT NULL,
        PRIMARY KEY (bundle, cluster, code, reason)) WITHOUT ROWID""",
    """CREATE TABLE decision (
        number INTEGER PRIMARY KEY AUTOINCREMENT, run TEXT NOT NULL, verb TEXT NOT NULL,
        actor TEXT NOT NULL, at TEXT NOT NULL, reason TEXT NOT NULL DEFAULT '',
        stage TEXT NOT NULL DEFAULT '', plan_hash TEXT NOT NULL DEFAULT '',
        clusters TEXT NOT NULL DEFAULT '[]')""",
    "CREATE INDEX decision_by_run ON decision (run)",
    """CREATE TRIGGER decision_stays BEFORE UPDATE ON decision
        BEGIN SELECT RAISE(ABORT, 'decisions are append-only'); END""",
    """CREATE TRIGGER decision_is_kept BEFORE DELETE ON decision
        BEGIN SELECT RAISE(ABORT, 'decisions are append-only'); END""",
)

_HISTORY = (
    """CREATE TABLE event (
        number INTEGER PRIMARY KEY AUTOINCREMENT, at TEXT NOT NULL, kind TEXT NOT NULL,
        run TEXT NOT NULL DEFAULT '', stage TEXT NOT NULL DEFAULT '',
        cluster TEXT NOT NULL DEFAULT '', message TEXT NOT NULL)""",
    "CREATE INDEX event_by_run ON event (run, number)",
    f"""CREATE TABLE plan_commit (
        id TEXT PRIMARY KEY, {_OWNER}, number INTEGER NOT NULL,
        title TEXT NOT NULL DEFAULT '', author TEXT NOT NULL DEFAULT '',
        seen_at TEXT NOT NULL, planned_at TEXT, state TEXT NOT NULL,
        clusters INTEGER NOT NULL DEFAULT 0, bundle_deployments INTEGER NOT NULL DEFAULT 0,
        changed INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID""",
    f"""CREATE TABLE problem (
        origin TEXT NOT NULL, {_OWNER}, code TEXT NOT NULL, severity TEXT NOT NULL,
        what TEXT NOT NULL, at TEXT NOT NULL, fix TEXT NOT NULL,
        bundle TEXT NOT NULL, cluster TEXT NOT NULL,
        commit_id TEXT NOT NULL DEFAULT '', since TEXT NOT NULL,
        PRIMARY KEY (origin, code, what, at, bundle, cluster)) WITHOUT ROWID""",
)

_SYNCS = (
    """CREATE TABLE sync (
        number INTEGER PRIMARY KEY AUTOINCREMENT, uid TEXT NOT NULL,
        asked_at TEXT NOT NULL, ends_at TEXT NOT NULL,
        actor TEXT NOT NULL, reason TEXT NOT NULL DEFAULT '',
        bundle TEXT NOT NULL DEFAULT '', selector TEXT NOT NULL DEFAULT '',
        force INTEGER NOT NULL DEFAULT 0, dry_run INTEGER NOT NULL DEFAULT 0,
        limit_seconds REAL NOT NULL, most_objects INTEGER NOT NULL)""",
    "CREATE INDEX sync_by_uid ON sync (uid)",
    """CREATE TABLE sync_bundle (
        sync TEXT NOT NULL, cluster TEXT NOT NULL, bundle TEXT NOT NULL,
        state TEXT NOT NULL, at TEXT NOT NULL, result TEXT NOT NULL DEFAULT '{}',
        PRIMARY KEY (sync, cluster, bundle)) WITHOUT ROWID""",
    "CREATE INDEX sync_bundle_open ON sync_bundle (cluster) WHERE state = 'Asked'",
)
