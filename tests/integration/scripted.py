# SPDX-License-Identifier: MIT
"""An admin socket whose answers a test chooses: for what a right daemon never does, and for tables
that are the same in every run."""
import json
import os
import socket
import threading

FLOW = {"listener": "db", "client": "127.0.0.1:4001", "upstream": "pg",
        "endpoint": "127.0.0.1:5432", "path": "splice", "why": "bulk", "bytes_down": 5,
        "age_ms": 61000, "idle_ms": 3, "switches": 0, "spills": 0, "worker": 0}


def flows(*speeds):
    """An answer for each round: flow N has moved N-th speed more bytes each time."""
    counted = [0]

    def answer():
        counted[0] += 1
        return [{**FLOW, "id": index + 1, "bytes_up": speed * counted[0]}
                for index, speed in enumerate(speeds)]
    return answer


UPSTREAMS = [{"name": "pg", "balance": "round_robin", "endpoints": [
    {"name": "127.0.0.1:5432", "address": "127.0.0.1:5432", "state": "healthy", "weight": 2,
     "backup": False, "active": 1, "total": 5, "failures": 0, "ejections": 0, "checks": 9,
     "checks_failed": 1, "last_error": "", "state_since_s": 77}]}]
LISTENERS = [{"name": "db", "address": "127.0.0.1:15432", "active": 3, "accepted": 99,
              "refused": 1, "accept_errors": 0, "to": "pg"}]


def http(status, body, kind="application/json"):
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    return (f"HTTP/1.1 {status} Whatever\r\nContent-Type: {kind}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n").encode() + body


class Scripted:
    """ANSWERS: {"GET /v1/status": object, bytes (sent raw), or a function that gives either}."""

    def __init__(self, folder, answers):
        self.path = os.path.join(folder, "s")
        self.answers = answers
        self.asked = []
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen(16)
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            with client:
                head = b""
                while b"\r\n\r\n" not in head:
                    piece = client.recv(4096)
                    if not piece:
                        break
                    head += piece
                request = " ".join(head.decode().split("\r\n")[0].split(" ")[:2])
                self.asked.append(request)
                answer = self.answers.get(request, http(404, {"error": {"message": "no such"}}))
                answer = answer() if callable(answer) else answer
                try:
                    client.sendall(answer if isinstance(answer, bytes) else http(200, answer))
                except OSError:
                    pass

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join(10)
