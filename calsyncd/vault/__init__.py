"""The vault: credentials that were granted to calsyncd, encrypted on disk, and the keys that open them."""

from calsyncd.vault.credentials import Vault, holds_credentials, name_of
from calsyncd.vault.files import is_there
from calsyncd.vault.keys import fingerprint, read_keys

__all__ = ["Vault", "fingerprint", "holds_credentials", "is_there", "name_of", "read_keys"]
