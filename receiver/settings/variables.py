"""Reads POSTSYNC_* variables: a list may be plain, its entries separated by commas."""

from __future__ import annotations

from typing import Any, get_origin

from pydantic.fields import FieldInfo
from pydantic_settings import EnvSettingsSource


class Variables(EnvSettingsSource):
    """The environment, as people write it: ``POSTSYNC_RULES=rules,more/cdn.yaml``."""

    def decode_complex_value(self, field_name: str, field: FieldInfo, value: Any) -> Any:
        """Take a list apart at its commas; what begins as JSON is read as JSON, as a mapping is.

        An empty text is no list: a variable that was meant to have rules would lose them all.
        """
        text = str(value).strip()
        if get_origin(field.annotation) is list and text and not text.startswith("["):
            return [entry for part in text.split(",") if (entry := part.strip())]
        return super().decode_complex_value(field_name, field, text)
