"""Credentials for the stores that are named: which variables and files are there, never what they hold. No network."""

from __future__ import annotations

import os
import pathlib
from typing import NamedTuple

from reelbeam.pipeline.doctor.findings import Finding, ok, worst
from reelbeam.pipeline.doctor.subject import Subject


class _Sources(NamedTuple):
    """Where a client looks for credentials: variables, files in the home folder, Beam's flags."""

    variables: tuple[str, ...]
    files: tuple[str, ...]
    flags: tuple[str, ...]
    remedy: str


_SOURCES = {
    "s3": _Sources(
        (
            "AWS_ACCESS_KEY_ID",
            "AWS_PROFILE",
            "AWS_WEB_IDENTITY_TOKEN_FILE",
            "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
            "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        ),
        (".aws/credentials", ".aws/config"),
        ("--s3_access_key_id", "--s3_session_token"),
        "set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; or pass --reach to try this machine's role",
    ),
    "gs": _Sources(
        ("GOOGLE_APPLICATION_CREDENTIALS", "STORAGE_EMULATOR_HOST"),
        (".config/gcloud/application_default_credentials.json",),
        (),
        "run `gcloud auth application-default login`, or set GOOGLE_APPLICATION_CREDENTIALS; or pass --reach to try "
        "this machine's account",
    ),
}


def check_credentials(subject: Subject) -> Finding:
    """Looks for the client library and the credentials of each store."""
    findings = [_of_scheme(scheme, subject) for scheme in sorted({uri.partition("://")[0] for uri in subject.remote})]
    return Finding(
        worst(finding.status for finding in findings),
        "; ".join(finding.found for finding in findings),
        "; ".join(filter(None, (finding.expected for finding in findings))),
        "; ".join(filter(None, (finding.remedy for finding in findings))),
    )


def _of_scheme(scheme: str, subject: Subject) -> Finding:
    from reelbeam.transforms.storage.stores.clients import lacks_client, unsupported

    uri = next(uri for uri in subject.remote if uri.startswith(f"{scheme}://"))
    if lacks_client(uri):
        _, _, remedy = str(unsupported(uri)).rpartition("; ")
        return Finding("error", f"{scheme}: its client is not installed", f"a client for {scheme}://", remedy)
    sources = _SOURCES.get(scheme)
    if sources is None:
        return Finding("unknown", f"{scheme}: not known here", f"credentials for {scheme}://", "pass --reach")
    lost = _lost_files(sources)
    if lost:
        return Finding(
            "error", f"{scheme}: {lost} names a file that is not there", "an existing file", f"correct {lost}"
        )
    names = _present(sources, subject)
    if not names:
        return Finding(
            "unknown", f"{scheme}: no variable or file has any", f"credentials for {scheme}://", sources.remedy
        )
    return ok(f"{scheme}: {', '.join(names)}")


def _lost_files(sources: _Sources) -> str:
    """Returns the first variable that names a file which does not exist."""
    named = ("GOOGLE_APPLICATION_CREDENTIALS", "AWS_WEB_IDENTITY_TOKEN_FILE")
    for name in set(named).intersection(sources.variables):
        if (path := os.environ.get(name)) and not pathlib.Path(path).is_file():
            return name
    return ""


def _present(sources: _Sources, subject: Subject) -> list[str]:
    given = {flag.partition("=")[0] for flag in subject.beam_flags}
    home = pathlib.Path(os.path.expanduser("~"))  # noqa: PTH111  a user without a name has no home
    return [
        *(name for name in sources.variables if os.environ.get(name)),
        *(flag for flag in sources.flags if flag in given),
        *(f"~/{name}" for name in sources.files if (home / name).is_file()),
    ]
