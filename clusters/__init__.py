"""What a Kubernetes cluster is to Fleet: its objects, the `Cluster` protocol, and its drivers.

There are two drivers, and they pass the same contract tests: a real Kubernetes API, and a simulated
one in memory. This package knows neither the hub nor the agent.
"""
