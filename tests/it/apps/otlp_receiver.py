"""A collector of traces: OTLP over HTTP, read by OpenTelemetry's own messages. Prints its port, then each span that it
is sent, as JSON. Told "refuse", it takes none and prints how many it was brought."""

import http.server
import json
import sys

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

REFUSES = "refuse" in sys.argv[1:]


def plain(value):
    return getattr(value, value.WhichOneof("value"))


class Collector(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        assert self.path == "/v1/traces", self.path
        assert self.headers["Content-Type"] == "application/x-protobuf"
        request = ExportTraceServiceRequest.FromString(body)
        if REFUSES:
            spans = sum(len(scope.spans) for resource in request.resource_spans for scope in resource.scope_spans)
            print(json.dumps({"refused": spans}))
            return self.answer(503, b"")
        for resource in request.resource_spans:
            service = {item.key: plain(item.value) for item in resource.resource.attributes}
            for scope in resource.scope_spans:
                for span in scope.spans:
                    print(json.dumps({
                        "service": service["service.name"],
                        "token": self.headers["X-Token"],
                        "name": span.name,
                        "kind": span.kind,
                        "trace": span.trace_id.hex(),
                        "id": span.span_id.hex(),
                        "parent": span.parent_span_id.hex(),
                        "attributes": {item.key: plain(item.value) for item in span.attributes},
                        "events": [event.name for event in span.events],
                        "failed": span.status.code == 2,
                        "ordered": 0 < span.start_time_unix_nano <= span.end_time_unix_nano,
                    }))
        self.answer(200, ExportTraceServiceResponse().SerializeToString())

    def answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Type", "application/x-protobuf")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Collector)
print(server.server_port, flush=True)
server.serve_forever()
