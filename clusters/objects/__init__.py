"""Kubernetes objects as plain dicts, their identity, their bytes and how YAML is read.

Objects are never modelled: a dict with an envelope (`apiVersion`, `kind`, `metadata.name`) that
`check_envelope` has looked at. Everything here is pure and safe for every package to import.

    identity   `Kind` (group, kind), `ObjectKey` (group, kind, namespace, name), envelope checks
    canonical  equal objects → equal bytes → equal digest
    reading    YAML and JSON text → objects, as Kubernetes reads them
    apis       the kinds that Kubernetes serves out of the box, and which are namespaced

What it never does: talk to a cluster, guess whether another kind is namespaced (discovery knows).
"""

from __future__ import annotations

from clusters.objects.canonical import Digest, canonical_bytes, digest_of
from clusters.objects.identity import (
    EnvelopeError,
    Kind,
    Object,
    ObjectKey,
    annotations_of,
    check_envelope,
    key_of,
    kind_of,
    labels_of,
    spec_of,
    split_api_version,
)
from clusters.objects.reading import YamlError, dump_yaml, read_yaml, read_yaml_documents

__all__ = [
    "Digest",
    "EnvelopeError",
    "Kind",
    "Object",
    "ObjectKey",
    "YamlError",
    "annotations_of",
    "canonical_bytes",
    "check_envelope",
    "digest_of",
    "dump_yaml",
    "key_of",
    "kind_of",
    "labels_of",
    "read_yaml",
    "read_yaml_documents",
    "spec_of",
    "split_api_version",
]
