"""The JSON Schema of config.yaml, for editors. `python -m calsyncd.config.schema` writes it into the package."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic.json_schema import GenerateJsonSchema

from calsyncd.config.models import Settings
from calsyncd.config.values import TcpListen, UnixListen, spell_seconds

SCHEMA_FILE = Path(__file__).parent.parent / "config.schema.json"


class _AsTyped(GenerateJsonSchema):
    """Defaults as one would type them into the file, and no titles, which repeat the keys."""

    def encode_default(self, dft: Any) -> Any:
        if isinstance(dft, float):
            return spell_seconds(dft)
        if isinstance(dft, (TcpListen, UnixListen)):
            return str(dft)
        return super().encode_default(dft)

    def default_schema(self, schema: Any) -> Any:
        made = super().default_schema(schema)
        if made.get("type") == "number":  # a weight or a share, not a time
            made["default"] = float(schema["default"])
        return made

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002 - the base class asks it so
        return False


def schema() -> dict[str, Any]:
    """The schema of what may be typed into config.yaml."""
    made = Settings.model_json_schema(schema_generator=_AsTyped)
    # Their defaults are worked out when the file is read.
    for worked_out in (made["properties"][key] for key in ("state_dir", "vault_key_file")):
        del worked_out["default"]
    del made["$defs"]["Agent"]["properties"]["aircall_user"]["default"]
    for section in made["$defs"].values():
        del section["title"]
        # What follows the first sentence is for readers of the code.
        section["description"] = section["description"].partition("\n\n")[0]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema"} | made | {"title": "calsyncd settings"}


def text() -> str:
    """The schema as it stands in the file."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    SCHEMA_FILE.write_text(text(), encoding="utf-8")
