"""Google Calendar and Aircall as strict servers on loopback.

They refuse what the real services refuse, so that a client which works here has a chance there.
"""
