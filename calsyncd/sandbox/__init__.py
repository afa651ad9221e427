"""Google Calendar and Aircall as strict servers on loopback, a scripted day, and the demo.

They refuse what the real services refuse, so that a client which works here has a chance there.
"""
