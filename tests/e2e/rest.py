"""Raw REST against an MLflow server: one keep-alive connection a thread, JSON that understands a bare NaN.

The tests, the seeders and the comparison use this and not MLflow's Python client, so that what they say about
a server does not depend on code that mlferry or MLflow share with it.
"""

import base64
import concurrent.futures
import http.client
import json
import math
import struct
import threading
import urllib.parse

API2 = "/api/2.0/mlflow/"
AJAX2 = "/ajax-api/2.0/mlflow/"
API3 = "/api/3.0/mlflow/"


class RestError(Exception):
    """An answer that is not 2xx: `status`, and the body cut to a line."""

    def __init__(self, method, path, status, body):
        text = body[:300].decode("utf-8", "replace").replace("\n", " ")
        super().__init__(f"{method} {path[:200]}: HTTP {status}: {text}")
        self.status = status


class Rest:
    """A server's REST interface. Safe to share between threads."""

    def __init__(self, url, user=None, password=None, workspace=None):
        self.url = url.rstrip("/")
        parts = urllib.parse.urlsplit(self.url)
        self._host, self._port, self._prefix = parts.hostname, parts.port or 80, parts.path
        self._local = threading.local()
        self._headers = {}
        if user is not None:
            token = base64.b64encode(f"{user}:{password}".encode()).decode()
            self._headers["Authorization"] = f"Basic {token}"
        if workspace is not None:
            self._headers["X-MLFLOW-WORKSPACE"] = workspace

    def raw(self, method, path, body=None, headers=None):
        """(status, body bytes). A connection that the server closed while idle is opened again once."""
        for attempt in (0, 1):
            connection = getattr(self._local, "connection", None)
            fresh = connection is None
            if fresh:
                connection = http.client.HTTPConnection(self._host, self._port, timeout=120)
                self._local.connection = connection
            try:
                connection.request(method, self._prefix + path, body=body, headers={**self._headers, **(headers or {})})
                answer = connection.getresponse()
                return answer.status, answer.read()
            except (http.client.RemoteDisconnected, ConnectionError, http.client.CannotSendRequest):
                connection.close()
                self._local.connection = None
                if fresh or attempt:
                    raise
        raise AssertionError("unreachable")

    def call(self, method, path, body=None, query=None):
        """A JSON call. `path` may be short ("runs/get" = under /api/2.0/mlflow/)."""
        if not path.startswith("/"):
            path = API2 + path
        if query:
            path += "?" + urllib.parse.urlencode(query, doseq=True, quote_via=urllib.parse.quote)
        data, headers = None, {}
        if method != "GET":
            data = json.dumps(body or {}, allow_nan=False).encode()
            headers["Content-Type"] = "application/json"
        status, text = self.raw(method, path, data, headers)
        if not 200 <= status < 300:
            raise RestError(method, path, status, text)
        return json.loads(text) if text.strip() else {}

    def get(self, path, /, **query):
        return self.call("GET", path, query=query)

    def post(self, path, /, **body):
        return self.call("POST", path, body)

    def patch(self, path, /, **body):
        return self.call("PATCH", path, body)

    def delete(self, path, /, **body):
        return self.call("DELETE", path, body)

    def pages(self, method, path, items, /, **arguments):
        """All items of a paged listing, as a generator. An empty page ends it too (tokens without end exist)."""
        token = None
        while True:
            if token:
                arguments["page_token"] = token
            answer = self.call(method, path, None if method == "GET" else arguments,
                               arguments if method == "GET" else None)
            rows = answer.get(items, [])
            yield from rows
            token = answer.get("next_page_token")
            if not token or not rows:
                return

    def put_file(self, path, data):
        """PUT into the proxied artifact tree; `path` from its top, unencoded."""
        status, text = self.raw("PUT", "/api/2.0/mlflow-artifacts/artifacts/" + quote_path(path), data,
                                {"Content-Type": "application/octet-stream"})
        if status != 200:
            raise RestError("PUT", path, status, text)

    def get_file(self, path):
        status, text = self.raw("GET", "/api/2.0/mlflow-artifacts/artifacts/" + quote_path(path))
        if status != 200:
            raise RestError("GET", path, status, text)
        return text


def quote_path(path):
    return "/".join(urllib.parse.quote(part, safe="") for part in path.split("/"))


def proxied(uri):
    """Path in the proxied tree of an mlflow-artifacts: URI, or None for another kind."""
    scheme, _, rest = uri.partition(":")
    return rest.lstrip("/") if scheme == "mlflow-artifacts" else None


def number(value):
    """A double as JSON for a request: NaN and infinities as the strings that the server understands."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return value


def bits(value):
    """A double as 16 hex digits; every NaN is one value, as in the server's database."""
    value = float(value)
    return "nan" if math.isnan(value) else struct.pack(">d", value).hex()


def parallel(function, items, threads=8):
    """[function(item)] in order, on threads; the first exception is raised."""
    with concurrent.futures.ThreadPoolExecutor(threads) as pool:
        return list(pool.map(function, items))
