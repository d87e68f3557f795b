"""httpbin from PyPI, unmodified, on a free port of loopback. Prints the port."""

from httpbin import app
from werkzeug.serving import WSGIRequestHandler, make_server

# HTTP/1.0 knows no chunks.
WSGIRequestHandler.protocol_version = "HTTP/1.1"

server = make_server("127.0.0.1", 0, app, threaded=True)
print(server.server_port, flush=True)
server.serve_forever()
