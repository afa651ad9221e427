"""Aircall's public API: users, their settings and live states."""
