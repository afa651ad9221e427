"""The settings: config.yaml read into frozen values, or all its faults at once.

`find` says which file, `load` reads it, `load_kept` reads the copy of what was good last, `load_rules` reads a file of
rules alone, `check` lists the faults, `restart_needed` tells what a reload cannot change.
"""

from calsyncd.config.faults import ConfigError, Fault
from calsyncd.config.loading import KEPT, check, load, load_kept, load_rules
from calsyncd.config.models import (
    Agent,
    Dispatch,
    History,
    Log,
    Server,
    Settings,
    StormGuard,
    Team,
)
from calsyncd.config.reload import restart_needed
from calsyncd.config.rules import Rules, WorkingHours, laid_over
from calsyncd.config.secretfiles import OAuthClient, Secret, SecretFile, ServiceAccount
from calsyncd.config.services import Aircall, AircallOauth, Alerts, Google
from calsyncd.config.values import Listen, TcpListen, UnixListen
from calsyncd.whereabouts import find

__all__ = [
    "KEPT",
    "Agent",
    "Aircall",
    "AircallOauth",
    "Alerts",
    "ConfigError",
    "Dispatch",
    "Fault",
    "Google",
    "History",
    "Listen",
    "Log",
    "OAuthClient",
    "Rules",
    "Secret",
    "SecretFile",
    "Server",
    "ServiceAccount",
    "Settings",
    "StormGuard",
    "TcpListen",
    "Team",
    "UnixListen",
    "WorkingHours",
    "check",
    "find",
    "laid_over",
    "load",
    "load_kept",
    "load_rules",
    "restart_needed",
]
