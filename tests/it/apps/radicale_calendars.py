"""Radicale from PyPI, unmodified, on a free port of loopback: calendars for whoever X-Remote-User names, each
person's for themselves alone. Takes the folder of its data; prints the port."""

import sys

from radicale import Application, config
from werkzeug.serving import make_server

configuration = config.load()
configuration.update(
    {
        "auth": {"type": "http_x_remote_user"},
        "rights": {"type": "owner_only"},
        "storage": {"filesystem_folder": sys.argv[1]},
        "logging": {"level": "error"},
    },
    "test",
    privileged=True,
)
server = make_server("127.0.0.1", 0, Application(configuration), threaded=True)
print(server.server_port, flush=True)
server.serve_forever()
