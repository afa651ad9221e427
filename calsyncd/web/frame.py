"""What every page for the public stands in: one look, one style sheet that is named by its hash, one policy."""

from __future__ import annotations

import base64
import hashlib
from html import escape
from importlib import resources


def style() -> str:
    """The style sheet that stands in every page."""
    return (resources.files("calsyncd.web") / "pages.css").read_text(encoding="utf-8")


_STYLE = style()
STYLE_SOURCE = f"'sha256-{base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()}'"
"""The one style that the policy allows."""


def headers(form_action: str) -> dict[str, str]:
    """What every answer carries. No browser or proxy keeps it, no site frames it or learns its address, nothing loads.

    `form_action` is where its forms may lead.
    """
    policy = (
        f"default-src 'none'; style-src {STYLE_SOURCE}; base-uri 'none'; form-action {form_action}; "
        "frame-ancestors 'none'"
    )
    return {
        "Cache-Control": "no-store",
        "Content-Security-Policy": policy,
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "X-Robots-Tag": "noindex",
    }


def frame(title: str, tone: str, body: str, site: str) -> str:
    """The whole page: `title` and `body` are HTML, `tone` is "", good or bad; `site` is our name, as it came."""
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="robots" content="noindex">
<title>{title} · calsyncd</title>
<style>{_STYLE}</style>
</head>
<body>
<main class="{tone}">
<p class="mark">calsyncd <span>{escape(site)}</span></p>
<h1>{title}</h1>
{body}
</main>
</body>
</html>
"""
