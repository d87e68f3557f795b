"""Rotel, an OpenTelemetry collector, as it is. Prints the port where it takes OTLP over HTTP, then what Rotel says of each
span that reaches it. This process becomes Rotel; a child finds its port, which Rotel does not tell, and ends."""

import os
import pathlib
import time

import rotel

AGENT = pathlib.Path(rotel.__file__).with_name("rotel-agent")
LISTENING = "0A"
# Two addresses that differ: Rotel takes two equal ones for one listener.
HTTP, GRPC = "127.0.0.1", "127.0.0.2"


def listening_port(process):
    """The port on which a process listens at HTTP, by what the system knows of it (proc(5))."""
    sockets = set()
    for descriptor in pathlib.Path(f"/proc/{process}/fd").iterdir():
        try:
            sockets.add(os.readlink(descriptor))
        except OSError:
            continue  # closed meanwhile
    for line in pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        address, port = fields[1].split(":")
        loopback = "".join(f"{int(part):02X}" for part in reversed(HTTP.split(".")))
        if fields[3] == LISTENING and address == loopback and f"socket:[{fields[9]}]" in sockets:
            return int(port, 16)
    return None


agent = os.getpid()
if os.fork() == 0:
    while os.getppid() == agent:
        port = listening_port(agent)
        if port is not None:
            os.write(1, f"{port}\n".encode())
            break
        time.sleep(0.02)
    os._exit(0)

environment = {name: value for name, value in os.environ.items() if not name.startswith("ROTEL_")}
log = ["--debug-log", "traces", "--debug-log-verbosity", "detailed"]
listen = ["--otlp-http-endpoint", f"{HTTP}:0", "--otlp-grpc-endpoint", f"{GRPC}:0"]
os.execve(AGENT, [AGENT, "start", "--exporter", "blackhole", *log, *listen], environment)
