"""A real Kubernetes control plane for the tests: etcd, kube-apiserver, kube-controller-manager.

There is no Go code of ours: `go.mod` names published modules, `go build` makes the programs of
them (eleven minutes on two cores, once for each machine), and they lie in the user's cache folder.

    programs        where the programs are: built, or of `KUBEBUILDER_ASSETS`
    building        `go build` with progress; `python -m tests.controlplane`
    credentials     keys, certificates, tokens and a kubeconfig for one control plane
    control_plane   the processes of one cluster, on 127.0.0.1 alone
    kubelet         a process that plays the nodes: pods become what their images say
    relay           a way to an API server that can be cut
    real_cluster    what the fixture of that name gives

To take a newer Kubernetes: change the versions in `go.mod` (v1.X.Y and v0.X.Y), run `go mod tidy`.

Never listens on another address, never leaves a process behind.
"""
