"""An SMTP server from PyPI's aiosmtpd on loopback that insists on STARTTLS and a password, and drops each
mail into a folder. Arguments: folder, certificate, key, port (0 for a free one). Prints the port."""

import asyncio
import os
import ssl
import sys
import tempfile

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

folder, certificate, key, port = sys.argv[1:]


class Folder:
    async def handle_DATA(self, server, session, envelope):
        handle, unfinished = tempfile.mkstemp(dir=folder)
        with os.fdopen(handle, "wb") as file:
            file.write(envelope.content)
        # Readers look for .eml: they never see half a mail.
        os.rename(unfinished, unfinished + ".eml")
        return "250 taken"


def authenticate(server, session, envelope, mechanism, given):
    right = isinstance(given, LoginPassword) and (given.login, given.password) == (b"gatehouse", b"open-sesame")
    return AuthResult(success=right, handled=False)


async def main():
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)

    def conversation():
        return SMTP(
            Folder(),
            hostname="localhost",
            tls_context=tls,
            require_starttls=True,
            authenticator=authenticate,
            auth_required=True,
        )

    server = await asyncio.get_running_loop().create_server(
        conversation, "127.0.0.1", int(port), reuse_address=True
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


asyncio.run(main())
