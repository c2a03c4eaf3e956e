"""boto3 sessions of an emulated AWS: none reads the operator's variables, profiles or files, or asks for their credentials."""

from __future__ import annotations

import os
from functools import cache
from typing import Any


def own_session() -> Any:
    """Return a botocore session of which every setting is botocore's own default, whatever the machine says."""
    import botocore.session

    settings = botocore.session.Session.SESSION_VARIABLES
    unheard = {name: (None, None, default, convert) for name, (_, _, default, convert) in settings.items()}
    for name in ("config_file", "credentials_file"):
        unheard[name] = (None, None, os.devnull, None)
    session = botocore.session.Session(session_vars=unheard)
    session.register_component("data_loader", _loader())
    return session


@cache
def _loader() -> Any:
    """Return botocore's own data, without what `~/.aws/models` adds; it is read once for all sessions."""
    from botocore.loaders import Loader

    return Loader(extra_search_paths=[Loader.BUILTIN_DATA_PATH], include_default_search_paths=False)
