"""A proxy in threads that records the requests to a server, and can stand there with TLS and an own CA."""

import http.client
import http.server
import ssl
import subprocess
import threading
import urllib.parse


class Recorder:
    """Passes HTTP requests on to a server and keeps (method, path) of each. `tls`: (certificate file, key file).
    `rewrite(path, body)` gives the body that is answered instead."""

    def __init__(self, url, tls=None, rewrite=None):
        parts = urllib.parse.urlsplit(url)
        recorder, self.requests = self, []

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def pass_on(self):
                recorder.requests.append((self.command, self.path))
                if "chunked" in self.headers.get("Transfer-Encoding", ""):
                    body = read_chunks(self.rfile)
                else:
                    body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=60)
                drop = {"host", "connection", "transfer-encoding", "content-length"}
                headers = {k: v for k, v in self.headers.items() if k.lower() not in drop}
                connection.request(self.command, self.path, body=body or None, headers=headers)
                answer = connection.getresponse()
                data = answer.read()
                if rewrite is not None:
                    data = rewrite(self.path, data)
                self.send_response(answer.status)
                for key, value in answer.getheaders():
                    if key.lower() not in drop | {"date", "server"}:
                        self.send_header(key, value)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(data)
                connection.close()

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = pass_on

            def log_message(self, *_):
                pass

        class Listener(http.server.ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 256

            def handle_error(self, *_):  # a client that refuses the certificate is no news
                pass

        self._server = Listener(("127.0.0.1", 0), Handler)
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*tls)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self._server.server_port}"

    READS = ("/search", "/graphql", "/get", "/get-history", "/list")

    def writes(self):
        """The requests that can change the server. A POST whose path ends in a word for reading is a read."""
        return [(m, p) for m, p in self.requests if m not in ("GET", "HEAD") and not (
            m == "POST" and urllib.parse.urlsplit(p).path.endswith(self.READS))]

    def __enter__(self):
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()


def read_chunks(stream):
    body = b""
    while size := int(stream.readline().split(b";")[0], 16):
        body += stream.read(size)
        stream.readline()
    stream.readline()
    return body


def make_certificates(folder):
    """An own CA and a server certificate for 127.0.0.1; returns (CA file, certificate file, key file)."""
    def openssl(*arguments):
        subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True, cwd=folder)

    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=Test CA", "-keyout", "ca.key", "-out", "ca.pem")
    openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=127.0.0.1", "-keyout", "server.key", "-out", "server.csr")
    (folder / "ext").write_text("subjectAltName=IP:127.0.0.1\n")
    openssl("x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2",
            "-extfile", "ext", "-out", "server.pem")
    return folder / "ca.pem", folder / "server.pem", folder / "server.key"
