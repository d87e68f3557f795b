-- Asks Gatehouse whether a request may pass: `http-request lua.gatehouse http://ADDRESS` in haproxy.cfg, which lies
-- beside this file. It sets `txn.gatehouse_passed` when the request passes, and answers the visitor when it does not.

-- For an answer, in milliseconds.
local TIMEOUT = 5000

-- What the app is told by Gatehouse alone. Add the names of [identity] in its configuration, if there are others.
-- `cookie` is the visitor's without Gatehouse's own; `authorization` what the app is signed in to with.
local FOR_APP = {
    "remote-user", "remote-email", "remote-name", "remote-groups",
    "x-gatehouse-session", "x-gatehouse-assertion", "x-request-id",
    "cookie", "authorization",
}

-- About one connection or one body; neither is the question's nor the answer's.
local NOT_PASSED_ON = {
    ["connection"] = true, ["keep-alive"] = true, ["proxy-connection"] = true, ["te"] = true,
    ["trailer"] = true, ["transfer-encoding"] = true, ["upgrade"] = true, ["http2-settings"] = true,
    ["content-length"] = true, ["expect"] = true, ["host"] = true,
}

local function passed_on(headers)
    local kept = {}
    for name, values in pairs(headers) do
        if not NOT_PASSED_ON[name] then
            kept[name] = values
        end
    end
    return kept
end

core.register_action("gatehouse", { "http-req" }, function(txn, address)
    local asked = txn.http:req_get_headers()
    local host = asked["host"] and asked["host"][0] or ""
    local scheme = txn.f:ssl_fc() == 1 and "https" or "http"

    local headers = passed_on(asked)
    headers["x-original-method"] = { txn.f:method() }
    -- `OPTIONS *` has none; this error keeps it from passing.
    local target = assert(txn.f:pathq(), "a request without a path")
    headers["x-original-url"] = { scheme .. "://" .. host .. target }

    local answer = core.httpclient():get {
        url = address .. "/.gatehouse/auth",
        headers = headers,
        timeout = TIMEOUT,
    }

    if answer.status == 200 then
        for _, name in ipairs(FOR_APP) do
            txn.http:req_del_header(name)
            for _, value in pairs(answer.headers[name] or {}) do
                txn.http:req_add_header(name, value)
            end
        end
        for _, cookie in pairs(answer.headers["set-cookie"] or {}) do
            txn:set_var("txn.gatehouse_set_cookie", cookie)
        end
        txn:set_var("txn.gatehouse_passed", true)
        return
    end

    -- Without an answer, HAProxy's configuration refuses what has not passed.
    if not answer.status or answer.status < 300 then
        return
    end
    local reply = txn:reply { status = answer.status, body = answer.body }
    for name, values in pairs(passed_on(answer.headers)) do
        for _, value in pairs(values) do
            reply:add_header(name, value)
        end
    end
    txn:done(reply)
end, 1)
