"""boto3 sessions of an emulated AWS: none reads the operator's variables, profiles or files, or asks for their credentials."""

from __future__ import annotations

import os
from typing import Any


def own_session() -> Any:
    """Return a botocore session of which every setting is botocore's own default, whatever the machine says."""
    import botocore.session

    settings = botocore.session.Session.SESSION_VARIABLES
    unheard = {name: (None, None, default, convert) for name, (_, _, default, convert) in settings.items()}
    for name in ("config_file", "credentials_file"):
        unheard[name] = (None, None, os.devnull, None)
    return botocore.session.Session(session_vars=unheard)
