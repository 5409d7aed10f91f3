"""What an API server says instead of "yes" becomes the one error that a caller can act on.

The bodies are those of a real kube-apiserver, shortened.
"""

from __future__ import annotations

import orjson
import pytest

from clusters.errors import (
    AdmissionError,
    AlreadyExistsError,
    ClusterError,
    ConflictError,
    ExpiredError,
    ForbiddenError,
    ImmutableError,
    InvalidError,
    KindNotFoundError,
    NotFoundError,
    QuotaError,
    TimedOutError,
    TooManyRequestsError,
    UnauthorizedError,
    UnreachableError,
)
from clusters.kubernetes.refusals import MAX_TEXT, Answer, refusal
from clusters.objects import Object

CANARY = "c2VjcmV0LWNhbmFyeQ=="


def said(code: int, reason: str = "", message: str = "", **details: object) -> Answer:
    """A Status as a server sends it."""
    status: Object = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code}
    status |= {"reason": reason, "message": message, "details": details}
    return Answer(code, orjson.dumps(status))


def cause(field: str, message: str, reason: str = "FieldValueInvalid") -> Object:
    """One complaint in a Status."""
    return {"reason": reason, "message": message, "field": field}


def invalid(*causes: Object) -> Answer:
    """A 422 with these complaints."""
    text = "; ".join(f"{c['field']}: {c['message']}" for c in causes)
    message = f'Deployment.apps "web" is invalid: {text}'
    return said(422, "Invalid", message, name="web", kind="Deployment", causes=list(causes))


def test_a_conflict_names_every_manager_and_field() -> None:
    causes = [
        cause(".spec.replicas", 'conflict with "kubectl-edit" using apps/v1'),
        cause(
            '.spec.template.spec.containers[name="c"].image',
            'conflict with "argo" with subresource "scale" using apps/v1',
        ),
        cause(".metadata.labels.a", 'conflict with "kubectl-edit" using apps/v1'),
    ]
    error = refusal(said(409, "Conflict", "Apply failed with 3 conflicts", causes=causes), "apply")
    assert type(error) is ConflictError
    assert error.managers == ("argo", "kubectl-edit")
    assert error.fields == (
        ".metadata.labels.a",
        ".spec.replicas",
        '.spec.template.spec.containers[name="c"].image',
    )


def test_a_stale_precondition_is_a_conflict_without_managers() -> None:
    error = refusal(said(409, "Conflict", "Precondition failed: UID in precondition"), "delete")
    assert type(error) is ConflictError
    assert error.managers == ()


def test_a_name_that_is_taken_is_told_from_a_conflict() -> None:
    error = refusal(said(409, "AlreadyExists", 'namespaces "shop" already exists'), "create")
    assert type(error) is AlreadyExistsError


@pytest.mark.parametrize(
    "complaint",
    [
        cause("spec.selector", 'Invalid value: {"matchLabels":{"a":"b"}}: field is immutable'),
        cause("spec.clusterIPs[0]", 'Invalid value: ["10.0.0.1"]: may not change once set'),
        cause("roleRef", 'Invalid value: {"name":"x"}: cannot change roleRef'),
        cause(
            "spec",
            "Forbidden: updates to statefulset spec for fields other than 'replicas', 'ordinals', "
            "'template' are forbidden",
        ),
        cause(
            "spec", "Forbidden: spec is immutable after creation except resources.requests\n {: }"
        ),
        cause("parameters", "Forbidden: updates to parameters are forbidden."),
    ],
)
def test_a_field_that_never_changes_is_recognised(complaint: Object) -> None:
    error = refusal(invalid(complaint), "apply")
    assert type(error) is ImmutableError
    assert error.fields == (complaint["field"],)


@pytest.mark.parametrize(
    "complaints",
    [
        [cause("spec.replicas", "Invalid value: -1: must be greater than or equal to 0")],
        [cause("spec.host", 'Invalid value: "field is immutable": must be a DNS name')],
        [
            cause("spec.selector", "Invalid value: {}: field is immutable"),
            cause("spec.replicas", "Invalid value: -1: must be greater than or equal to 0"),
        ],
        [],
    ],
)
def test_any_other_complaint_is_never_taken_for_an_immutable_field(
    complaints: list[Object],
) -> None:
    assert type(refusal(invalid(*complaints), "apply")) is InvalidError


def test_a_quota_is_told_from_missing_rights() -> None:
    quota = 'pods "web" is forbidden: exceeded quota: compute, requested: pods=1, used: pods=5'
    rbac = 'deployments.apps "web" is forbidden: User "agent" cannot patch resource "deployments"'
    escalation = 'roles "x" is forbidden: user "agent" (groups=[]) is attempting to grant RBAC'
    assert type(refusal(said(403, "Forbidden", quota), "apply")) is QuotaError
    assert type(refusal(said(403, "Forbidden", rbac), "apply")) is ForbiddenError
    assert type(refusal(said(403, "Forbidden", escalation), "apply")) is ForbiddenError


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (403, 'pods "web" is forbidden: violates PodSecurity "restricted:latest": runAsNonRoot'),
        (400, 'admission webhook "policy.example" denied the request: no latest tags'),
        (422, "deployments \"web\" is forbidden: ValidatingAdmissionPolicy 'p' denied request"),
    ],
)
def test_a_denial_by_a_webhook_or_policy_is_known_whatever_its_code(
    code: int, message: str
) -> None:
    error = refusal(said(code, "", message), "apply")
    assert type(error) is AdmissionError
    assert not error.retryable


def test_a_webhook_that_does_not_answer_is_worth_another_try() -> None:
    text = 'Internal error occurred: failed calling webhook "w.example": connection refused'
    error = refusal(said(500, "InternalError", text), "apply")
    assert type(error) is AdmissionError
    assert error.retryable


def test_a_namespace_on_its_way_out_is_worth_another_try() -> None:
    text = 'configmaps "x" is forbidden: unable to create new content in namespace a'
    gone = cause("metadata.namespace", "namespace a is being terminated", "NamespaceTerminating")
    error = refusal(said(403, "Forbidden", text, causes=[gone]), "apply")
    assert type(error) is ForbiddenError
    assert error.retryable


def test_a_missing_object_is_told_from_a_missing_kind() -> None:
    missing = said(404, "NotFound", 'namespaces "shop" not found', name="shop", kind="namespaces")
    assert type(refusal(missing, "apply")) is NotFoundError
    unserved = said(404, "NotFound", "the server could not find the requested resource")
    assert type(refusal(unserved, "apply")) is KindNotFoundError
    assert type(refusal(Answer(404, b"404 page not found\n"), "apply")) is KindNotFoundError


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (400, InvalidError),
        (401, UnauthorizedError),
        (410, ExpiredError),
        (413, InvalidError),
        (429, TooManyRequestsError),
        (502, UnreachableError),
        (503, TooManyRequestsError),
        (504, TimedOutError),
    ],
)
def test_each_code_has_its_error(code: int, expected: type[ClusterError]) -> None:
    error = refusal(said(code, "", "so it is"), "list Pod")
    assert type(error) is expected
    assert str(error) == "list Pod: so it is"


def test_a_server_that_asks_for_patience_says_for_how_long() -> None:
    by_header = refusal(Answer(429, b"slow down", "7"), "list")
    assert isinstance(by_header, TooManyRequestsError)
    assert by_header.retry_after == 7.0
    by_body = refusal(said(500, "ServerTimeout", "busy", retryAfterSeconds=3), "list")
    assert isinstance(by_body, TooManyRequestsError)
    assert by_body.retry_after == 3.0
    unsaid = refusal(Answer(429, b"", "Wed, 21 Oct 2015 07:28:00 GMT"), "list")
    assert isinstance(unsaid, TooManyRequestsError)
    assert unsaid.retry_after == 1.0


def test_a_fault_of_the_server_is_worth_another_try_and_a_strange_code_is_not() -> None:
    assert refusal(said(500, "InternalError", "etcdserver: leader changed"), "get").retryable
    assert not refusal(said(405, "MethodNotAllowed", "no"), "get").retryable


@pytest.mark.parametrize(
    "answer",
    [
        invalid(cause("data[k]", f'Invalid value: "{CANARY}": not base64')),
        said(500, "InternalError", f".data.k: expected string, got {CANARY}"),
        said(400, "BadRequest", f'admission webhook "w" denied the request: {CANARY}'),
        said(403, CANARY, f'admission webhook "w" denied the request: {CANARY}'),
        said(
            422,
            "Invalid",
            'admission webhook "w" denied the request: no',
            causes=[cause(CANARY, CANARY)],
        ),
        said(403, "Forbidden", f"ValidatingAdmissionPolicy 'p' with binding 'b' denied: {CANARY}"),
        said(418, CANARY, CANARY),
        Answer(502, f"proxy could not forward {CANARY}".encode()),
    ],
)
def test_nothing_that_a_server_says_about_a_secret_is_repeated(answer: Answer) -> None:
    error = refusal(answer, "apply Secret shop/db", secret=True)
    assert CANARY not in str(error)
    assert "apply Secret shop/db" in str(error)


@pytest.mark.parametrize(
    ("message", "named"),
    [
        ('admission webhook "check.example" denied the request: x', 'webhook "check.example"'),
        ('failed calling webhook "check.example": timeout', 'calling webhook "check.example"'),
        ("secrets \"db\" is forbidden: ValidatingAdmissionPolicy 'p' with binding", "Policy 'p'"),
    ],
)
def test_who_refused_a_secret_is_named(message: str, named: str) -> None:
    error = refusal(said(403, "Forbidden", message), "delete Secret shop/db", secret=True)
    assert isinstance(error, AdmissionError)
    assert named in str(error)


def test_a_refused_secret_still_says_where_and_why() -> None:
    answer = invalid(cause("type", f'Invalid value: "{CANARY}": field is immutable'))
    error = refusal(answer, "apply Secret shop/db", secret=True)
    assert isinstance(error, ImmutableError)
    assert "Invalid" in str(error)
    assert "at type" in str(error)


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        (".spec.replicaz: field not declared in schema", ("spec.replicaz",)),
        (
            "errors:\n  .spec.a: field not declared in schema\n"
            '  .spec.template.spec.containers[name="main"].b: expected string, got 1',
            ("spec.a", 'spec.template.spec.containers[name="main"].b'),
        ),
    ],
)
def test_an_apply_that_does_not_fit_the_schema_is_the_objects_fault(
    text: str, fields: tuple[str, ...]
) -> None:
    prefix = "failed to create typed patch object (shop/web; apps/v1, Kind=Deployment): "
    error = refusal(said(500, "", prefix + text), "apply")
    assert type(error) is InvalidError
    assert error.fields == fields
    assert not error.retryable


def test_an_endless_message_is_cut() -> None:
    assert len(str(refusal(said(400, "", "x" * 100_000), "apply"))) < MAX_TEXT + 20
