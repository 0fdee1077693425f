"""Keep secrets out of a recording, whatever said them: values of the environment, passwords."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping

_NAMES = re.compile(r"KEY|SECRET|TOKEN|PASSWORD|PASSPHRASE|_URLS?$", re.IGNORECASE)
_IN_ADDRESS = re.compile(r"(://[^/\s:@\"]*):[^@/\s\"]+@")
_HIDDEN = "(hidden)"
_MIN_LENGTH = 6
"""Shorter values would hide harmless words, and guard nothing."""


class SecretFilter:
    """Hide the values of secret variables and passwords inside addresses.

    Parameters
    ----------
    environment : by default the process's own
    """

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        env = os.environ if environment is None else environment
        found = {
            part
            for name, value in env.items()
            if _NAMES.search(name)
            for part in (value, *value.split())
            if len(part) >= _MIN_LENGTH
        }
        # As they stand inside JSON; the longest first, since one may hold another.
        inside = (json.dumps(part, ensure_ascii=False)[1:-1] for part in found)
        self._secrets = sorted(inside, key=len, reverse=True)

    def clean(self, text: str) -> str:
        """Return JSON text without them."""
        for secret in self._secrets:
            if secret in text:
                text = text.replace(secret, _HIDDEN)
        return _IN_ADDRESS.sub(rf"\1:{_HIDDEN}@", text) if "://" in text else text
