# SPDX-License-Identifier: MIT
"""An nginx with servers of the test's own, and files that these may serve and take."""
import os
import shutil
import tempfile

from . import net, peers

CONFIGURATION = """
daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ }}
http {{
    access_log {folder}/access.log;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
    client_max_body_size 0;
    %s
}}
"""


class Website:
    """Its folder is there from the start, the servers from start() on."""

    def __init__(self):
        self.process = None
        self.folder = tempfile.mkdtemp(prefix="weir-test-")
        os.chmod(self.folder, 0o755)
        os.mkdir(self.file(""))
        os.chmod(self.file(""), 0o777)

    def start(self, text, names, **values):
        """TEXT says what stands in `http`. In it {folder}, VALUES, and for each of NAMES an address,
        which is an attribute of this object, too."""
        addresses = {name: net.free_address() for name in names}
        self.__dict__.update(addresses)
        conf = os.path.join(self.folder, "nginx.conf")
        with open(conf, "w", encoding="utf-8") as file:
            file.write((CONFIGURATION % text).format(folder=self.folder, **addresses, **values))
        self.process, _ = peers.listening(["nginx", "-c", conf, "-p", self.folder], self.folder,
                                          addresses[names[0]])

    def file(self, name):
        return os.path.join(self.folder, "www", name)

    def write(self, name, data):
        with open(self.file(name), "wb") as file:
            file.write(data)

    def close(self):
        if self.process:
            self.process.stop()
        shutil.rmtree(self.folder)
