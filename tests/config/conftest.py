from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from .home import Home, furnish

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session")
def rsa_pem() -> str:
    """An RSA key in PEM."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


@pytest.fixture(scope="session")
def account(rsa_pem: str) -> dict[str, str]:
    """A service account's JSON as Google gives it out, with a key of our own."""
    return {
        "type": "service_account",
        "project_id": "example",
        "private_key_id": "key1",
        "private_key": rsa_pem,
        "client_email": "calsync@example.iam.gserviceaccount.com",
        "token_uri": "https://oauth2.googleapis.com/token",
    }


@pytest.fixture
def home(tmp_path: Path, account: dict[str, str]) -> Home:
    """A furnished directory."""
    return furnish(tmp_path, account)
