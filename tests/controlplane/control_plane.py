"""The processes of one Kubernetes cluster, on 127.0.0.1: started together, stopped together.

::

    etcd ◄── kube-apiserver ◄── kube-controller-manager
                            ◄── the kubelet of these tests (nodes, pods, addresses)

A control plane is ready in about six seconds and takes 350 to 500 MB. It keeps nothing: its folder
is the caller's to remove. An API server can be started again over the same etcd, as after an
upgrade: it forgets its watch cache, so that old resourceVersions are gone. One that is `audited`
writes down every request (`audit`).

Never uses a port that was taken: each is chosen free, and a start that loses a race is tried again.
"""

from __future__ import annotations

import shutil
import ssl
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Self

from clusters.clock import SystemClock
from clusters.objects import dump_yaml
from fleet.world.session import free_port
from tests.controlplane.credentials import Credentials
from tests.controlplane.programs import Programs

READY_SECONDS = 90.0
"""Until which a program must answer; six seconds is usual, on a busy machine it is more."""
TRIES = 3


class ControlPlane:
    """One cluster; a context. `kubeconfig` is the administrator's.

    Without `kubelet` nothing but the API server writes, if there are no controllers either.
    """

    def __init__(
        self, programs: Programs, folder: Path, *, kubelet: bool = True, audited: bool = False
    ) -> None:
        self.folder = folder
        self._audited = audited
        self._has_kubelet = kubelet
        self.kubeconfig = folder / "kubeconfig"
        self._programs = programs
        self._credentials = Credentials.make(folder, SystemClock().now())
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._etcd_port = self._port = 0

    @property
    def url(self) -> str:
        """The address of the API server."""
        return f"https://127.0.0.1:{self._port}"

    @property
    def port(self) -> int:
        """The port of the API server."""
        return self._port

    @property
    def audit_log(self) -> Path:
        """One JSON document a line for every request, if the plane is audited."""
        return self.folder / "audit.log"

    @property
    def has_controllers(self) -> bool:
        """Whether a kube-controller-manager runs."""
        return self._programs.controllers is not None

    def __enter__(self) -> Self:
        for attempt in range(TRIES):
            try:
                self._start()
            except BaseException as error:
                self.stop()
                if not isinstance(error, RuntimeError) or attempt == TRIES - 1:
                    raise
            else:
                return self
        raise AssertionError("unreachable")

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def stop(self) -> None:
        """End the processes at once: there is nothing that they would have to save."""
        for name in reversed(list(self._running)):
            self._kill(name)

    def write_kubeconfig(self, path: Path, port: int) -> None:
        """A kubeconfig for the same API server behind another port of this machine."""
        self._credentials.write_kubeconfig(path, f"https://127.0.0.1:{port}")

    def restart_apiserver(self) -> None:
        """Kill the API server and start it again; clients see refused connections meanwhile.

        It belongs to the thread that starts it: call this in the one that lives longest.
        """
        self._kill("kube-apiserver")
        self._start_apiserver()

    def _start(self) -> None:
        self._etcd_port, peers, self._port = free_port(), free_port(), free_port()
        self._start_etcd(peers)
        self._start_apiserver()
        self._credentials.write_kubeconfig(self.kubeconfig, self.url)
        self._start_controllers()
        if self._has_kubelet:
            self._run(
                "kubelet", [sys.executable, "-m", "tests.controlplane.kubelet", self.kubeconfig]
            )

    def _start_etcd(self, peers: int) -> None:
        clients = f"http://127.0.0.1:{self._etcd_port}"
        self._run(
            "etcd",
            [
                self._programs.etcd,
                f"--data-dir={self.folder / 'etcd'}",
                f"--listen-client-urls={clients}",
                f"--advertise-client-urls={clients}",
                f"--listen-peer-urls=http://127.0.0.1:{peers}",
                "--unsafe-no-fsync",  # a test's cluster need not outlive a power cut
                "--log-level=warn",
            ],
        )
        self._wait("etcd", lambda: _answers(f"{clients}/health"))

    def _start_apiserver(self) -> None:
        made = self._credentials
        self._run(
            "kube-apiserver",
            [
                self._programs.apiserver,
                f"--etcd-servers=http://127.0.0.1:{self._etcd_port}",
                "--bind-address=127.0.0.1",
                "--advertise-address=127.0.0.1",
                f"--secure-port={self._port}",
                f"--tls-cert-file={made.server_certificate}",
                f"--tls-private-key-file={made.server_key}",
                f"--token-auth-file={made.tokens}",
                "--authorization-mode=RBAC",
                # Webhooks and aggregated APIs are called there: no call leaves the machine.
                "--service-cluster-ip-range=127.96.0.0/16",
                "--service-account-issuer=https://kubernetes.default.svc",
                f"--service-account-key-file={made.accounts_key}",
                f"--service-account-signing-key-file={made.accounts_key}",
                # There is no node that could reach a Service, and no address to publish.
                "--endpoint-reconciler-type=none",
                "--allow-privileged=true",
                "--profiling=false",
                *self._auditing(),
            ],
        )
        context = ssl.create_default_context(cafile=str(made.authority))
        self._wait("kube-apiserver", lambda: _answers(f"{self.url}/readyz", made.token, context))

    def _auditing(self) -> list[str]:
        """Metadata alone, once a request is answered, and on disk before it is."""
        if not self._audited:
            return []
        rule = {"level": "Metadata", "omitStages": ["RequestReceived", "ResponseStarted", "Panic"]}
        policy = self.folder / "audit-policy.yaml"
        kind = {"apiVersion": "audit.k8s.io/v1", "kind": "Policy"}
        policy.write_text(dump_yaml([{**kind, "rules": [rule]}]))
        return [
            f"--audit-policy-file={policy}",
            f"--audit-log-path={self.audit_log}",
            "--audit-log-mode=blocking",
        ]

    def _start_controllers(self) -> None:
        if self._programs.controllers is None:
            return
        self._run(
            "kube-controller-manager",
            [
                self._programs.controllers,
                f"--kubeconfig={self.kubeconfig}",
                f"--service-account-private-key-file={self._credentials.accounts_key}",
                f"--root-ca-file={self._credentials.authority}",
                "--bind-address=127.0.0.1",
                "--secure-port=0",
                "--leader-elect=false",
                "--use-service-account-credentials=false",
                "--kube-api-qps=500",
                "--kube-api-burst=1000",
                "--horizontal-pod-autoscaler-sync-period=2s",
                "--enable-hostpath-provisioner=true",
            ],
        )

    def _run(self, name: str, words: list[str | Path]) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            self._running[name] = subprocess.Popen(
                [*_leash(), *(str(word) for word in words)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def _wait(self, name: str, ready: Callable[[], bool]) -> None:
        """Errors: `RuntimeError` with the program's last words."""
        deadline, pause = time.monotonic() + READY_SECONDS, threading.Event()
        process = self._running[name]
        while not ready():
            if process.poll() is not None or time.monotonic() > deadline:
                log = (self.folder / f"{name}.log").read_text("utf-8", errors="replace")
                raise RuntimeError(f"{name} did not get ready:\n{log[-3000:]}")
            pause.wait(0.05)

    def _kill(self, name: str) -> None:
        process = self._running.pop(name)
        process.kill()
        process.wait()


def _leash() -> list[str]:
    """Have a program end with the tests, also when those are killed with -9, where Linux can."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "TERM", "--"] if setpriv else []


def _answers(url: str, token: str = "", context: ssl.SSLContext | None = None) -> bool:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    request = urllib.request.Request(url, headers=headers)
    # A proxy of the environment has no business on the way to this machine.
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
    )
    try:
        with opener.open(request, timeout=5) as answer:
            return int(answer.status) == 200
    except (OSError, urllib.error.URLError):
        return False
