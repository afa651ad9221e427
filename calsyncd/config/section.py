"""What all sections of the settings share."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A mapping of config.yaml."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        arbitrary_types_allowed=True,
        hide_input_in_errors=True,
        use_attribute_docstrings=True,
    )

    later: ClassVar[Mapping[str, str]] = MappingProxyType({})
    """Keys that a later version will know, each with what to do until then, or ""."""

    @classmethod
    def keys(cls) -> list[str]:
        """The keys as they stand in the file."""
        return [field.alias or name for name, field in cls.model_fields.items()]
