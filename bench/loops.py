"""Plain request loops with the fewest requests for the same work: what mlferry is measured against.

Each worker thread has one raw keep-alive socket and sends bytes that were made before the clock starts; answers
are kept but not parsed, except for the id of a created run. There is little left to take away.
"""

import json
import socket
import threading
import time
import urllib.parse


class Socket:
    def __init__(self, host, port):
        self._socket = socket.create_connection((host, port), timeout=120)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._rest = b""

    def exchange(self, request):
        self._socket.sendall(request)
        data = self._rest
        while (end := data.find(b"\r\n\r\n")) < 0:
            data += self._more()
        head = data[:end].lower()
        if not head.startswith(b"http/1.1 200"):
            raise RuntimeError(data[:500])
        length = int(head.split(b"content-length:", 1)[1].split(b"\r\n", 1)[0])
        parts, have = [data[end + 4:]], len(data) - end - 4
        while have < length:
            parts.append(self._more())
            have += len(parts[-1])
        body = b"".join(parts)
        self._rest = body[length:]
        return body[:length]

    def _more(self):
        data = self._socket.recv(1 << 18)
        if not data:
            raise RuntimeError("the server closed the connection")
        return data

    def close(self):
        self._socket.close()


def request(method, path, body=None):
    data = json.dumps(body).encode() if body is not None else b""
    head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n"
    return head.encode() + data


def run_loop(url, concurrency, items, work):
    """work(socket, item) for every item on `concurrency` threads; returns (results, seconds)."""
    parts = urllib.parse.urlsplit(url)
    results, position, lock, errors = [None] * len(items), [0], threading.Lock(), []
    start = time.monotonic()

    def worker():
        try:
            connection = Socket(parts.hostname, parts.port)
            while True:
                with lock:
                    i = position[0]
                    position[0] += 1
                if i >= len(items):
                    break
                results[i] = work(connection, items[i])
            connection.close()
        except Exception as error:  # shown by the caller; a half-done loop is no measurement
            errors.append(error)

    threads = [threading.Thread(target=worker) for _ in range(concurrency)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return results, time.monotonic() - start


def export_loop(url, experiment_ids, metric_keys, concurrency, listings):
    """One page of runs per 1,000, histories of 100 runs and one key a request; `listings`: also the artifact roots, ten
    runs a request. Returns (seconds, requests)."""
    start = time.monotonic()
    runs, token, count = [], None, 0
    while True:
        body = {"experiment_ids": experiment_ids, "run_view_type": "ALL", "max_results": 1000, **({"page_token": token} if token else {})}
        answer = json.loads(run_loop(url, 1, [request("POST", "/api/2.0/mlflow/runs/search", body)], Socket.exchange)[0][0])
        runs += [r["info"]["run_id"] for r in answer.get("runs", [])]
        token, count = answer.get("next_page_token"), count + 1
        if not token:
            break
    items = []
    for key in metric_keys:
        for i in range(0, len(runs), 100):
            query = urllib.parse.urlencode([("run_id", r) for r in runs[i:i + 100]] + [("metric_key", key)])
            items.append(request("GET", f"/ajax-api/2.0/mlflow/metrics/get-history-bulk?{query}"))
    if listings:
        for i in range(0, len(runs), 10):
            fields = " ".join(f'a{j}: mlflowListArtifacts(input:{{runId:"{r}"}}){{files{{path isDir fileSize}}}}'
                              for j, r in enumerate(runs[i:i + 10]))
            items.append(request("POST", "/graphql", {"query": "query {" + fields + "}"}))
    run_loop(url, concurrency, items, Socket.exchange)
    return time.monotonic() - start, count + len(items)


def import_loop(url, runs, concurrency):
    """runs: (create body, log-batch body without the id, update body without the id). Returns (seconds, requests)."""
    experiment = json.loads(run_loop(url, 1, [request("POST", "/api/2.0/mlflow/experiments/create", {"name": "loop"})],
                                     Socket.exchange)[0][0])["experiment_id"]
    items = [(request("POST", "/api/2.0/mlflow/runs/create", {**create, "experiment_id": experiment}), batch, update)
             for create, batch, update in runs]

    def one(connection, item):
        create, batch, update = item
        run = json.loads(connection.exchange(create))["run"]["info"]["run_id"]
        connection.exchange(request("POST", "/api/2.0/mlflow/runs/log-batch", {**batch, "run_id": run}))
        connection.exchange(request("POST", "/api/2.0/mlflow/runs/update", {**update, "run_id": run}))

    _, seconds = run_loop(url, concurrency, items, one)
    return seconds, 3 * len(items) + 1
