"""Keeps call-centre agents' Aircall availability in step with their Google Calendar."""

__version__ = "0.1.0"
