"""Google's Calendar API: who we are to it, and the few calls that we make."""
