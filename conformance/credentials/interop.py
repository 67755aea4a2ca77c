"""Holds the credentials of tollgate against pymacaroons, in both directions.

    python interop.py ../../target/debug/tollgate

It exits 1 when the two disagree.
"""

import hashlib
import hmac
import json
import os
import subprocess
import sys
import tempfile

from pymacaroons import MACAROON_V1, MACAROON_V2, Macaroon, Verifier
from pymacaroons.exceptions import MacaroonInvalidSignatureException
from pymacaroons.serializers import JsonSerializer

MODEL = "deadbeef-0bad-400d-8000-4b1d0d06f00d"
TERMS = [
    f"declared environment {MODEL}",
    "declared charm ch:metered-1",
    "declared service metered",
    "declared user bob",
    "time-before 2999-01-01T00:00:00Z",
]


class Tollgate:
    """The program under test, with keys of its own."""

    def __init__(self, path, folder):
        self.path = path
        self.keys = os.path.join(folder, "keys")
        self.run("credential", "new-key", self.keys, "--id", "py")
        with open(self.keys, encoding="ascii") as lines:
            [secret] = [line.split()[1] for line in lines if line.startswith("py ")]
        self.secret = bytes.fromhex(secret)

    def run(self, *arguments, text=""):
        environment = {name: value for name, value in os.environ.items() if not name.startswith("TOLLGATE_")}
        return subprocess.run(
            [self.path, *arguments], input=text, env=environment, capture_output=True, text=True, check=False
        )

    def root_key(self, identifier):
        """The key of one credential, derived as docs/credentials.md says."""
        return hmac.new(self.secret, identifier, hashlib.sha256).digest()

    def takes(self, credential):
        """Whether it covers a batch of the model, as the exit code says."""
        batch = ["--model", MODEL, "--unit", "metered/0", "--charm", "ch:amd64/jammy/metered-7"]
        run = self.run("credential", "inspect", "--keys", self.keys, *batch, text=credential)
        assert run.returncode in (0, 1), run
        return run.returncode == 0


def forms(macaroon):
    """Every form that pymacaroons has and that a batch may carry."""
    text = macaroon.serialize(serializer=JsonSerializer())
    return [text, f"[{text}]\n", json.dumps(macaroon.serialize())]


def check_ours_there(tollgate):
    """pymacaroons verifies what the program mints, in both versions."""
    for form in ["v1", "v2"]:
        minted = tollgate.run(
            "credential", "mint", "--keys", tollgate.keys, "--model", MODEL, "--charm", "ch:metered-1",
            "--service", "metered", "--user", "bob", "--expires", "2999-01-01T00:00:00Z", "--format", form,
        ).stdout
        macaroon = Macaroon.deserialize(minted, serializer=JsonSerializer())
        caveats = []
        verifier = Verifier()
        verifier.satisfy_general(lambda caveat: caveats.append(caveat) or True)
        assert verifier.verify(macaroon, tollgate.root_key(macaroon.identifier_bytes)), minted
        assert caveats == TERMS, caveats
        try:
            verifier.verify(macaroon, "another key")
            raise AssertionError("another key verifies it")
        except MacaroonInvalidSignatureException:
            pass
        for caveat, wanted in [
            ("declared service metered", True), ("declared service other", False), ("is-member staff", False)
        ]:
            narrowed = macaroon.copy()
            narrowed.add_first_party_caveat(caveat)
            for text in forms(narrowed):
                assert tollgate.takes(text) == wanted, text


def check_theirs_here(tollgate):
    """The program verifies what pymacaroons makes, in both versions."""
    for version in [MACAROON_V1, MACAROON_V2]:
        identifier = f"tollgate 1 py {bytes(range(16)).hex()} {len(TERMS)}"
        for key, wanted in [(tollgate.root_key(identifier.encode()), True), (b"another key", False)]:
            macaroon = Macaroon(location="tollgate", identifier=identifier, key=key, version=version)
            for term in TERMS:
                macaroon.add_first_party_caveat(term)
            for text in forms(macaroon):
                assert tollgate.takes(text) == wanted, text


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    with tempfile.TemporaryDirectory(prefix="tollgate-credentials-") as folder:
        tollgate = Tollgate(os.path.abspath(sys.argv[1]), folder)
        check_ours_there(tollgate)
        print("pymacaroons verifies our credentials, and we verify what it adds to them")
        check_theirs_here(tollgate)
        print("we verify pymacaroons' credentials")


if __name__ == "__main__":
    main()
