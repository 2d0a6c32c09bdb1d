# SPDX-License-Identifier: MIT
"""Certificates made by openssl(1), in a folder."""
import os

from . import peers


class Authority:
    def __init__(self, folder, name):
        self.folder, self.name = folder, name
        self.key, self.file = self._path("key"), self._path("pem")
        peers.run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                  "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", self.key, "-out", self.file,
                  "-subj", f"/CN={name}", "-days", "30")

    def _path(self, end):
        return os.path.join(self.folder, f"{self.name}.{end}")

    def issue(self, name, alternatives, days=30):
        """(certificate, key) for what subjectAltName says; DAYS below 0: it has expired."""
        key, request, cert, extensions = (
            os.path.join(self.folder, f"{name}.{end}") for end in ("key", "csr", "pem", "ext"))
        with open(extensions, "w", encoding="ascii") as file:
            file.write(f"subjectAltName={alternatives}\n")
        peers.run("openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
                  "-nodes", "-keyout", key, "-out", request, "-subj", f"/O=Weir/CN={name}")
        peers.run("openssl", "x509", "-req", "-in", request, "-CA", self.file, "-CAkey", self.key,
                  "-CAcreateserial", "-extfile", extensions, "-days", days, "-out", cert)
        return cert, key
