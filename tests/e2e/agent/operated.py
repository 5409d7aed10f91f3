"""One real cluster as people operate it: a hub, an agent, kubectl, and secrets to look out for.

`CANARIES` are planted wherever a fleet holds something secret. What each bundle is for:

    web       is refused: another tool has a field of its      calm      is in order
    vault     a Secret of text, bytes and a variable           chart     one filled in by Helm
    quoted    a Secret refused by a policy that quotes it      mistaken  one that is no YAML
    gated     waits for a webhook whose URL holds a key
"""

from __future__ import annotations

import base64
import subprocess
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

from click.testing import CliRunner, Result

from clusters.objects import read_yaml
from fleet.api.client import TOKEN_FILE
from fleet.cli import main
from fleet.render.renderer import find_tools
from fleet.world.hub import HubProcess
from fleet.world.session import HUB_OPTIONS, free_port
from tests.controlplane.real_cluster import RealCluster
from tests.e2e.fleet_processes import AgentProcess, Output, git_repository, run_fleet, wait_for

CLUSTER, SPACE = "real-1", "fleet-operate"
BUNDLES = ("web", "calm", "vault", "chart", "quoted", "mistaken", "gated")
CANARY = "c4n4ry-of-a-secret"
BYTES, VARIABLE, VALUE = "c4n4ry-of-bytes", "c4n4ry-of-a-variable", "c4n4ry-of-a-value"
REFUSED, MISTAKE = "c4n4ry-of-the-refused", "c4n4ry-of-a-mistake"
KEY_OF_A_URL, BY_HAND = "c4n4ry-of-a-url", "c4n4ry-typed-by-hand"
CANARIES = (CANARY, BYTES, VARIABLE, VALUE, REFUSED, MISTAKE, KEY_OF_A_URL, BY_HAND)


def _secret(name: str, fields: str, labels: str = "{}") -> str:
    return f"apiVersion: v1\nkind: Secret\nmetadata: {{name: {name}, labels: {labels}}}\n{fields}"


def _config_map(name: str, mode: str) -> str:
    return f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata: {{mode: {mode}}}\n"


def encoded(value: str) -> str:
    """As a Secret stores it."""
    return base64.b64encode(value.encode()).decode()


_PLACE = f"defaultNamespace: {SPACE}\n"
_APPS: dict[str, dict[str, str]] = {
    "web": {
        "fleet.yaml": _PLACE,
        "settings.yaml": _config_map("settings", "ours"),
        "secret.yaml": _secret("password", f"stringData: {{password: {CANARY}}}\n"),
    },
    "calm": {"fleet.yaml": _PLACE, "settings.yaml": _config_map("calm", "calm")},
    "vault": {
        "fleet.yaml": f"{_PLACE}correctDrift: {{enabled: false}}\n"
        f"variables: {{password: {VARIABLE}}}\n",
        "secret.yaml": _secret(
            "vault",
            f"stringData: {{text: {CANARY}, filled: '${{password}}'}}\n"
            f"data: {{bytes: {encoded(BYTES)}}}\n",
        ),
    },
    "chart": {
        "fleet.yaml": f"{_PLACE}helm:\n  chart: ./chart\n  values: {{password: {VALUE}}}\n",
        "chart/Chart.yaml": "apiVersion: v2\nname: chart\nversion: 1.0.0\n",
        "chart/templates/secret.yaml": _secret(
            "chart", "stringData: {password: {{ .Values.password | quote }}}\n"
        ),
    },
    "quoted": {
        "fleet.yaml": _PLACE,
        "secret.yaml": _secret("quoted", f"stringData: {{password: {REFUSED}}}\n", "{refuse: me}"),
    },
    "mistaken": {
        "fleet.yaml": _PLACE,
        "secret.yaml": _secret("mistaken", f"stringData:\n  password: *{MISTAKE}\n"),
    },
    "gated": {
        "fleet.yaml": f"{_PLACE}labels: {{team: gated}}\n",
        "settings.yaml": _config_map("gated", "gated"),
    },
}
FILES = {
    "clusters/clusters.yaml": "apiVersion: fleet.dev/v1\nkind: Cluster\n"
    f"metadata: {{name: {CLUSTER}, labels: {{env: staging}}}}\n",
    "clusters/rollout.yaml": f"""\
apiVersion: fleet.dev/v1
kind: Rollout
metadata: {{name: gated}}
spec:
  source: {{bundles: {{matchLabels: {{team: gated}}}}}}
  stages:
    - name: all
      group: staging
      gates:
        before: [{{webhook: "http://127.0.0.1:9/yes?key={KEY_OF_A_URL}"}}]
""",
    **{
        f"apps/staging/{bundle}/{name}": text
        for bundle, files in _APPS.items()
        for name, text in files.items()
    },
}
THEIRS = f"""\
apiVersion: v1
kind: Namespace
metadata: {{name: {SPACE}}}
---
apiVersion: v1
kind: ConfigMap
metadata: {{name: settings, namespace: {SPACE}}}
data: {{mode: theirs}}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {{name: {SPACE}}}
spec:
  matchConstraints:
    namespaceSelector: {{matchLabels: {{kubernetes.io/metadata.name: {SPACE}}}}}
    resourceRules:
      - {{apiGroups: [""], apiVersions: [v1], operations: [CREATE, UPDATE], resources: [secrets]}}
  validations:
    - expression: "!('refuse' in object.metadata.?labels.orValue({{}}))"
      messageExpression: "'no ' + string(object.data.password)"
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {{name: {SPACE}}}
spec: {{policyName: {SPACE}, validationActions: [Deny]}}
"""


class Operated:
    """One real cluster with its agent, a hub, and who asks them."""

    def __init__(self, real: RealCluster, folder: Path, opened: ExitStack) -> None:
        self._real, self.folder = real, folder
        self.hub_metrics, self.agent_metrics = (f"127.0.0.1:{free_port()}" for _ in range(2))
        self.kubectl("apply", "--server-side", "--field-manager=other-tool", "-f-", stdin=THEIRS)
        opened.callback(self._leave_nothing)
        self.root = git_repository(folder / "repository", FILES).root
        options = (*HUB_OPTIONS, "--metrics-listen", self.hub_metrics, "--log-level", "debug")
        self.hub = HubProcess(folder, str(self.root), port=free_port(), options=options)
        opened.callback(self.hub.stop)
        self.hub.start()
        wait_for("the first plan", lambda: CLUSTER in self.asked("clusters").stdout)
        self.token = self.fleet("cluster", "token", CLUSTER).out.split()[-1]
        self.agent = AgentProcess(
            folder,
            self.hub.url,
            CLUSTER,
            real.kubeconfig,
            self.token,
            context=real.context,
            options=(
                *("--metrics-listen", self.agent_metrics),
                *("--log-format", "json", "--log-level", "debug"),
            ),
        )
        wait_for("the policy that quotes", lambda: encoded(CANARY) in self.quotes(CANARY))
        opened.callback(self.agent.kill)
        self.agent.start()

    def fleet(self, *words: str) -> Output:
        """`fleet …` as the operator."""
        return run_fleet(*words, env=dict(self.environment()))

    def asked(self, *words: str) -> Result:
        """The same in this process, which takes less long."""
        return CliRunner().invoke(main, words, env=self.environment(), prog_name="fleet")

    def kubectl(self, *words: str, stdin: str = "") -> str:
        """What the real kubectl prints."""
        done = self._kubectl(*words, stdin=stdin)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def _kubectl(self, *words: str, stdin: str) -> subprocess.CompletedProcess[str]:
        program = find_tools(None, None).kustomize[0]
        where = ["--kubeconfig", str(self._real.kubeconfig)]
        where += ["--context", self._real.context] if self._real.context else []
        return subprocess.run(
            [program, *where, *words], input=stdin, capture_output=True, text=True, check=False
        )

    def environment(self) -> Mapping[str, str]:
        """What a person on the hub's machine has set."""
        token = (self.hub.state_dir / TOKEN_FILE).read_text("utf-8").strip()
        home = str(self.folder / "home")
        return {"FLEET_HUB": self.hub.url, "FLEET_TOKEN": token, "HOME": home}

    def quotes(self, value: str) -> str:
        """What the API server says to a Secret with this value that it refuses."""
        text = _secret("tried", f"stringData: {{password: {value}}}\n", "{refuse: me}")
        done = self._kubectl("apply", "-n", SPACE, "--dry-run=server", "-f-", stdin=text)
        return done.stderr

    def secrets(self) -> list[str]:
        """All that nobody may print: what was planted, tokens and keys."""
        config = read_yaml(self._real.kubeconfig.read_text("utf-8"))
        key = (self.hub.state_dir / "signing-key").read_text("utf-8").splitlines()
        credentials = [
            user["user"][name]
            for user in config["users"]
            for name in ("token", "password", "client-key-data")
            if name in user["user"]
        ]
        assert credentials
        own = (self.token, self.environment()["FLEET_TOKEN"], key[1], key[2])
        return [*CANARIES, *own, *credentials]

    def settings(self) -> str:
        """The live value that the story is about."""
        path = "jsonpath={.data.mode}"
        return self.kubectl("get", "configmap", "settings", "-n", SPACE, "-o", path)

    def _leave_nothing(self) -> None:
        self.kubectl("delete", "namespace", SPACE, "--ignore-not-found")
        for kind in ("validatingadmissionpolicybinding", "validatingadmissionpolicy"):
            self.kubectl("delete", kind, SPACE, "--ignore-not-found")
        names = [f"bundle-{name}" for name in BUNDLES]
        self.kubectl("delete", "configmap", *names, "-n", "fleet-system", "--ignore-not-found")
