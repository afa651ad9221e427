"""The vault: credentials that were granted to calsyncd, encrypted on disk, and the keys that open them."""

from calsyncd.vault.credentials import Vault, credential_files, holds_credentials, is_credential, name_of
from calsyncd.vault.files import is_there
from calsyncd.vault.keys import fingerprint, read_keys

__all__ = [
    "Vault",
    "credential_files",
    "fingerprint",
    "holds_credentials",
    "is_credential",
    "is_there",
    "name_of",
    "read_keys",
]
