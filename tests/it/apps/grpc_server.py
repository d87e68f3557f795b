"""A gRPC server on a free port of loopback, without protobuf: messages are bytes. Prints the port, then for
each call its method and who the gateway says is there.

/test.Echo/Unary answers with the message; Count with the numbers below it, one by one; Join with all messages
joined; Chat with each message as it comes; Fail with a status, text and trailer; Sleep when the call is over."""

import threading
from concurrent import futures

import grpc


def note(name, context):
    metadata = dict(context.invocation_metadata())
    person = metadata.get("remote-user", "nobody")
    leaked = "leaked" if "__Host-gatehouse" in metadata.get("cookie", "") else "clean"
    print(name, person, leaked, flush=True)


def unary(message, context):
    note("Unary", context)
    context.set_trailing_metadata((("x-trailer", "kept"),))
    return message


def count(message, context):
    note("Count", context)
    for number in range(int(message)):
        yield str(number).encode()


def join(messages, context):
    note("Join", context)
    return b"".join(messages)


def chat(messages, context):
    note("Chat", context)
    for message in messages:
        yield b"you said " + message


def fail(message, context):
    note("Fail", context)
    context.set_trailing_metadata((("x-trailer", "kept"),))
    context.abort(grpc.StatusCode.FAILED_PRECONDITION, "not \u00fctterly ready")


def sleep(message, context):
    note("Sleep", context)
    over = threading.Event()
    context.add_callback(over.set)
    over.wait()
    print("Sleep over", flush=True)
    return b""


handlers = {
    "Unary": grpc.unary_unary_rpc_method_handler(unary),
    "Count": grpc.unary_stream_rpc_method_handler(count),
    "Join": grpc.stream_unary_rpc_method_handler(join),
    "Chat": grpc.stream_stream_rpc_method_handler(chat),
    "Fail": grpc.unary_unary_rpc_method_handler(fail),
    "Sleep": grpc.unary_unary_rpc_method_handler(sleep),
}
server = grpc.server(futures.ThreadPoolExecutor(8))
server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Echo", handlers),))
print(server.add_insecure_port("127.0.0.1:0"), flush=True)
server.start()
server.wait_for_termination()
