"""An app on werkzeug that believes to live at the root of its host: absolute redirects, a cookie for all of its
host, a sign-out of its own. On a free port of loopback; prints the port."""

from werkzeug.serving import make_server
from werkzeug.utils import redirect
from werkzeug.wrappers import Request, Response

PAGE = """<!doctype html><html lang="en"><title>The wiki</title><main><h1>The wiki</h1><p>{greeting}</p>
<form method="post" action="nickname"><label>Nickname <input name="nickname"></label><button>Save</button></form>
<a href="logout">Leave the wiki</a></main></html>"""


@Request.application
def app(request):
    if request.path == "/nickname" and request.method == "POST":
        answer = redirect("/hello", code=303)
        answer.set_cookie("nickname", request.form["nickname"], path="/")
        return answer
    if request.path == "/logout":
        answer = redirect(f"http://{request.host}/bye")
        answer.delete_cookie("nickname", path="/")
        return answer
    if request.path in ("/", "/hello"):
        name = request.cookies.get("nickname", "nobody")
        greeting = f"Hello {name}, signed in as {request.headers.get('Remote-User')}."
        return Response(PAGE.format(greeting=greeting), content_type="text/html")
    return Response("Not here: " + request.path, status=404, content_type="text/plain")


server = make_server("127.0.0.1", 0, app, threaded=True)
print(server.server_port, flush=True)
server.serve_forever()
