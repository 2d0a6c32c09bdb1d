# SPDX-License-Identifier: MIT
"""`weir send https://...` against nginx, openssl s_server and Python's ssl, and through tinyproxy."""
import hashlib
import os
import socket
import ssl
import subprocess
import threading

import pytest

from harness import build, net, peers
from harness.certificates import Authority
from harness.website import Website

NGINX = """ssl_protocols TLSv1.2 TLSv1.3;
    ssl_certificate {good[0]}; ssl_certificate_key {good[1]};
    server {{
        listen {address} ssl;
        location / {{ root {folder}/www; dav_methods PUT; }}
        location = /who {{ return 200 "$ssl_protocol $ssl_server_name $host|$http_authorization\\n"; }}
        location = /down {{ return 302 http://{plain}/who; }}
    }}
    server {{ listen {tls12} ssl; ssl_protocols TLSv1.2; return 200 "$ssl_protocol\\n"; }}
    server {{ listen {tls13} ssl; ssl_protocols TLSv1.3; return 200 "$ssl_protocol\\n"; }}
    server {{ listen {expired} ssl; return 200 "expired\\n";
              ssl_certificate {old[0]}; ssl_certificate_key {old[1]}; }}
    server {{ listen {other} ssl; return 200 "other\\n";
              ssl_certificate {elsewhere[0]}; ssl_certificate_key {elsewhere[1]}; }}
    server {{ listen {unknown} ssl; return 200 "unknown\\n";
              ssl_certificate {strange[0]}; ssl_certificate_key {strange[1]}; }}
    server {{ listen {demanding} ssl; ssl_verify_client on; ssl_client_certificate {ca};
              return 200 "hello $ssl_client_s_dn\\n"; }}
    server {{
        listen {plain};
        location = /who {{ return 200 "plain $host|$http_authorization\\n"; }}
        location = /up {{ return 301 https://{address}/who; }}
    }}
"""

SERVERS = ("address", "plain", "tls12", "tls13", "expired", "other", "unknown", "demanding")


class Site(Website):
    def __init__(self):
        super().__init__()
        self.authority = Authority(self.folder, "ca")
        self.ca = self.authority.file
        stranger = Authority(self.folder, "stranger")
        here = "DNS:localhost,IP:127.0.0.1"
        self.guest = self.authority.issue("guest", "DNS:guest")
        self.good = self.authority.issue("good", here)
        self.start(NGINX, SERVERS, ca=self.ca, good=self.good,
                   old=self.authority.issue("old", here, days=-1),
                   elsewhere=self.authority.issue("elsewhere", "DNS:a.example"),
                   strange=stranger.issue("strange", here))
        self.write("hello.txt", b"hello\n")
        self.write("big", os.urandom(4 << 20) * 25)


@pytest.fixture(scope="module")
def site():
    made = Site()
    yield made
    made.close()


def send(*arguments, status=0):
    done = subprocess.run([build.program("weir"), "send", *map(str, arguments)],
                          stdin=subprocess.DEVNULL, capture_output=True, timeout=100, check=False)
    assert done.returncode == status, (done.returncode, done.stderr)
    return done


def digest(path):
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


@pytest.mark.asan
def test_get(site):
    for host in ("127.0.0.1", "localhost"):
        url = f"https://{host}:{site.address.split(':')[1]}"
        assert send("--cacert", site.ca, f"{url}/hello.txt").stdout == b"hello\n"
    # A name is said to the server, an address is not (RFC 6066 section 3).
    assert send("--cacert", site.ca, f"{url}/who").stdout.split(b"|")[0].endswith(
        b" localhost localhost")
    assert b" localhost" not in send("--cacert", site.ca, f"https://{site.address}/who").stdout


@pytest.mark.asan
def test_verbose(site):
    said = send("-v", "--cacert", site.ca, f"https://{site.address}/hello.txt").stderr.decode()
    for line in ("* TLS: TLSv1.3 / TLS_", "* protocol agreed on: http/1.1",
                 "*  subject: O = Weir, CN = good", "*  issuer: CN = ca", "*  expires: ",
                 "* the certificate is good", "< HTTP/1.1 200 OK"):
        assert line in said
    said = send("-vk", f"https://{site.address}/hello.txt").stderr.decode()
    assert "not checked" in said and "is good" not in said


@pytest.mark.asan
@pytest.mark.parametrize("name,why", [
    ("expired", "certificate has expired"), ("other", "IP address mismatch"),
    ("unknown", "unable to get local issuer certificate")])
def test_distrust(site, name, why):
    url = f"https://{getattr(site, name)}/"
    done = send("--cacert", site.ca, url, status=1)
    assert why.encode() in done.stderr and done.stdout == b""
    assert send("-k", url).stdout == f"{name}\n".encode()


def test_system_trust(site):
    """A certificate authority of one's own is not in the system's store."""
    url = f"https://{site.address}/hello.txt"
    said = send(url, status=1).stderr
    assert b"certificate will not do: unable to get local issuer certificate" in said
    # OpenSSL's own variable says where the system's store is.
    system = {"SSL_CERT_FILE": site.ca}
    assert peers.run(build.program("weir"), "send", url, env=system) == b"hello\n"


@pytest.mark.asan
def test_example(site):
    """A program of its own, with the library's client."""
    ask = [build.program("examples/https"), site.address, "/hello.txt"]
    assert peers.run(*ask, env={"SSL_CERT_FILE": site.ca}) == b"hello\n"
    with pytest.raises(AssertionError, match="unable to get local issuer certificate"):
        peers.run(*ask)


@pytest.mark.asan
def test_versions(site):
    assert send("--cacert", site.ca, f"https://{site.tls12}/").stdout == b"TLSv1.2\n"
    assert send("--cacert", site.ca, f"https://{site.tls13}/").stdout == b"TLSv1.3\n"


def test_old_version(site):
    """Who speaks nothing newer than TLS 1.1 is not talked to."""
    address = net.free_address()
    server, _ = peers.listening(
        ["openssl", "s_server", "-accept", address, "-cert", site.good[0], "-key", site.good[1],
         "-tls1_1", "-cipher", "ALL:@SECLEVEL=0", "-quiet", "-www"], site.folder, address)
    try:
        said = send("-k", f"https://{address}/", status=1).stderr
        assert b"TLS handshake: " in said and b"version" in said
    finally:
        server.stop()


@pytest.mark.asan
def test_client_certificate(site):
    url = f"https://{site.demanding}/"
    cert, key = site.guest
    assert b"No required SSL certificate" in send("--cacert", site.ca, url).stdout
    assert b"CN=guest" in send("--cacert", site.ca, "--cert", cert, "--key", key, url).stdout
    both = os.path.join(site.folder, "both.pem")
    with open(both, "wb") as out:
        for path in (cert, key):
            with open(path, "rb") as file:
                out.write(file.read())
    assert b"CN=guest" in send("--cacert", site.ca, "-E", both, url).stdout
    assert b"certificate" in send("--cert", "/nowhere", url, status=1).stderr
    assert b"mismatch" in send("--cert", cert, "--key", site.good[1], url, status=1).stderr
    encrypted = os.path.join(site.folder, "encrypted.key")
    peers.run("openssl", "ec", "-aes128", "-passout", "pass:secret", "-in", key, "-out", encrypted)
    assert b"encrypted.key" in send("--cert", cert, "--key", encrypted, url, status=1).stderr


@pytest.mark.asan
@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_demanded_by_alert(site, version):
    """openssl s_server breaks the connection off, in TLS 1.3 behind the handshake."""
    address = net.free_address()
    server, _ = peers.listening(
        ["openssl", "s_server", "-accept", address, "-cert", site.good[0], "-key", site.good[1],
         "-CAfile", site.ca, "-Verify", "1", "-verify_return_error", version, "-www"],
        site.folder, address)
    try:
        url = f"https://{address}/"
        said = send("--cacert", site.ca, url, status=1).stderr
        assert b"handshake failure" in said or b"certificate required" in said
        page = send("--cacert", site.ca, "--cert", site.guest[0], "--key", site.guest[1], url)
        assert b"guest" in page.stdout
    finally:
        server.stop()


@pytest.mark.asan
def test_large(site, tmp_path):
    """100 MB down and up."""
    got = tmp_path / "got"
    send("--cacert", site.ca, "-o", got, f"https://{site.address}/big")
    assert digest(got) == digest(site.file("big"))
    send("--cacert", site.ca, "-X", "PUT", "-d", f"@{got}", f"https://{site.address}/up")
    assert digest(site.file("up")) == digest(got)


@pytest.mark.asan
def test_redirections(site):
    secret = ("-H", "Authorization: secret")
    done = send("-L", "-v", "--cacert", site.ca, *secret, f"http://{site.plain}/up")
    assert done.stdout.startswith(b"TLSv1.3 ") and done.stdout.endswith(b"|\n")
    assert done.stderr.count(b"Authorization") == 1
    done = send("-L", "--cacert", site.ca, *secret, f"https://{site.address}/down")
    assert done.stdout == b"plain 127.0.0.1|\n"
    assert b"|secret" in send("--cacert", site.ca, *secret, f"https://{site.address}/who").stdout


HEAD = b"HTTP/1.1 200 OK\r\nConnection: close\r\n"
ENDS = [
    # what is sent, whether close_notify follows, what comes of it
    (HEAD + b"\r\nall of it", True, b""),
    (HEAD + b"\r\nhalf of", False, b"without TLS's close_notify"),
    (HEAD + b"Content-Length: 4\r\n\r\nfull", False, b""),
    (HEAD + b"Content-Length: 9\r\n\r\nhalf", False, b"without TLS's close_notify"),
    (HEAD + b"Content-Length: 9\r\n\r\nhalf", True, b"broke off"),
    (b"", False, b"without TLS's close_notify"),
]


@pytest.mark.asan
@pytest.mark.parametrize("answer,notify,said", ENDS)
def test_ends(site, answer, notify, said):
    """A body without a length ends where close_notify says so, and nowhere else."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*site.good)
    with socket.create_server(("127.0.0.1", 0)) as server:
        def serve():
            conn = context.wrap_socket(server.accept()[0], server_side=True)
            conn.recv(65536)
            conn.sendall(answer)
            if notify:
                try:
                    conn.unwrap()
                except OSError:  # the client has no more to say
                    pass
            conn.close()

        thread = threading.Thread(target=serve)
        thread.start()
        done = send("--cacert", site.ca, f"https://127.0.0.1:{server.getsockname()[1]}/",
                    status=1 if said else 0)
        thread.join()
    assert said in done.stderr
    if not said:
        assert done.stdout == answer.split(b"\r\n\r\n")[1]


def test_wrong_peers(site):
    assert b"wrong version number" in send(f"https://{site.plain}/", status=1).stderr
    assert b"400" in send("-i", f"http://{site.address}/").stdout
    assert b"CA file /nowhere" in send("--cacert", "/nowhere", f"https://{site.address}/",
                                       status=1).stderr
    gone = net.free_address()
    assert gone.encode() in send("-k", f"https://{gone}/", status=1).stderr


class Proxies:
    """tinyproxy, and socat that puts TLS in front of it."""

    def __init__(self, site):
        self.plain, self.secure = net.free_address(), net.free_address()
        self.log = os.path.join(site.folder, "tinyproxy.log")
        conf = os.path.join(site.folder, "tinyproxy.conf")
        host, port = self.plain.split(":")
        with open(conf, "w", encoding="ascii") as file:
            file.write(f"Listen {host}\nPort {port}\nLogLevel Connect\nLogFile \"{self.log}\"\n"
                       f"ConnectPort {site.address.split(':')[1]}\nTimeout 60\n")
        listen_port = self.secure.split(":")[1]
        self.processes = [
            peers.listening(["tinyproxy", "-d", "-c", conf], site.folder, self.plain)[0],
            peers.listening(["socat", f"OPENSSL-LISTEN:{listen_port},bind={host},reuseaddr,fork,"
                             f"cert={site.good[0]},key={site.good[1]},verify=0",
                             f"TCP:{self.plain}"], site.folder, self.secure)[0]]

    def close(self):
        for process in self.processes:
            process.stop()


@pytest.fixture(name="proxies", scope="module")
def proxies_fixture(site):
    made = Proxies(site)
    yield made
    made.close()


@pytest.mark.asan
@pytest.mark.parametrize("kind", ["plain", "secure"])
def test_proxy(site, proxies, tmp_path, kind):
    """https through CONNECT, TLS to the proxy around it or not; http in absolute form."""
    proxy = {"plain": f"http://{proxies.plain}", "secure": f"https://{proxies.secure}"}[kind]
    got = tmp_path / "got"
    done = send("-v", "-x", proxy, "--cacert", site.ca, "-o", got, f"https://{site.address}/big")
    assert digest(got) == digest(site.file("big"))
    assert f"* asked the proxy for {site.address}: 200".encode() in done.stderr
    assert done.stderr.count(b"* the certificate is good") == (1 if kind == "plain" else 2)
    with open(proxies.log, encoding="utf-8") as file:
        assert f"CONNECT {site.address}" in file.read()
    assert send("-x", proxy, "--cacert", site.ca, f"http://{site.plain}/who").stdout == \
        b"plain 127.0.0.1|\n"


@pytest.mark.asan
def test_proxy_refuses(site, proxies):
    """tinyproxy connects to the ports it was told of and to no other one."""
    said = send("-x", proxies.plain, "-k", f"https://{site.tls12}/", status=1).stderr
    assert site.tls12.encode() in said and b"the proxy answered 403" in said
    said = send("-x", site.plain, "-k", f"https://{site.address}/", status=1).stderr
    assert b"the proxy answered 4" in said
