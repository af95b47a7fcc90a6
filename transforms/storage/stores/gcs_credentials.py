"""Look up Google's credentials once.

Beam repeats the look-up five times with pauses, 17 to 20 seconds in all, even if there are no credentials. Every
command on a public bucket would wait for that.
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
    """Makes Beam connect anonymously, with a warning, if this process has no credentials.

    If there are credentials, also those of a Google machine's metadata server, Beam uses them as usual. If the look-up
    fails for another reason, Beam repeats it as usual. The result holds for the rest of the process, as Beam's does.

    Args:
      options: hold the scopes of the credentials.

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
    """Returns Google's reason for finding no credentials; None if there are credentials."""
    import google.auth
    from google.auth.exceptions import DefaultCredentialsError

    # The default is three attempts of three seconds if a network drops packets to the metadata server's address.
    # Google's machines are also recognized by their product name.
    os.environ.setdefault(_METADATA_TRIES, "1")
    try:
        google.auth.default(scopes=options.view_as(GoogleCloudOptions).gcp_oauth_scopes)
    except DefaultCredentialsError as error:
        return str(error).partition(". ")[0]
    return None
