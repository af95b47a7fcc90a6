"""Google's credentials, looked up once.

Beam repeats the look-up five times with pauses, 17 to 20 seconds in all, also where the answer is that there are no
credentials, which no repetition changes. Every command on a public bucket waits for that.
"""

from __future__ import annotations

import logging
import os

from apache_beam.options.pipeline_options import GoogleCloudOptions, PipelineOptions

from reelbeam.transforms.beam_compat import undecided_google_credentials

_METADATA_TRIES = "GCE_METADATA_DETECT_RETRIES"
_HOW_TO = "run `gcloud auth application-default login`, or set GOOGLE_APPLICATION_CREDENTIALS to a key file"
_log = logging.getLogger(__name__)


def settle_credentials(options: PipelineOptions) -> None:
    """Makes Beam connect anonymously at once where this process finds no credentials; says so in a warning.

    Where there are some, the metadata server's of a machine of Google's among them, Beam takes them as it always does;
    so it does, with its repetitions, where looking fails for another reason than that there are none. The answer holds
    for the rest of the process, as Beam's does.

    Args:
      options: with the scopes of the credentials.

    Raises:
      ImportError: Google's client libraries are not installed.
    """
    from google.auth.exceptions import GoogleAuthError

    with undecided_google_credentials() as connect_anonymously:
        if connect_anonymously is None:
            return
        try:
            missing = _what_is_missing(options)
        except GoogleAuthError:
            return
        if missing is None:
            return
        connect_anonymously()
    if "STORAGE_EMULATOR_HOST" not in os.environ:
        _log.warning(
            "no credentials for gs:// (%s): connecting anonymously, which public buckets allow; for others, %s",
            *(missing, _HOW_TO),
        )


def _what_is_missing(options: PipelineOptions) -> str | None:
    """Returns Google's reason for finding no credentials; None where there are some."""
    import google.auth
    from google.auth.exceptions import DefaultCredentialsError

    # Three tries of three seconds, where a network drops what is sent to the metadata server's address. A machine of
    # Google's is known by its product name as well.
    os.environ.setdefault(_METADATA_TRIES, "1")
    try:
        google.auth.default(scopes=options.view_as(GoogleCloudOptions).gcp_oauth_scopes)
    except DefaultCredentialsError as error:
        return str(error).partition(". ")[0]
    return None
