"""The paths behind `server.public_url`: whom the internet comes to, and where services send browsers back to."""

from __future__ import annotations

GOOGLE_CONNECT = "/google/connect"
"""Where agents connect their calendars."""
GOOGLE_CALLBACK = "/google/callback"
"""Where Google sends an agent's browser back to."""
AIRCALL_INSTALL = "/aircall/oauth/install"
"""Where an Aircall admin begins to install the app; Aircall's dashboard opens it too."""
AIRCALL_CALLBACK = "/aircall/oauth/callback"
"""Where Aircall sends the admin's browser back to."""
GOOGLE_WEBHOOK = "/webhooks/google/notifications"
AIRCALL_WEBHOOK = "/webhooks/aircall"
