// `redirect`, `response.json` and `response.send` do not return: the host ends
// the run, whatever `catch` or `finally` stands around them.
(host, define) => {
  const { stringify } = JSON;
  const text = (value) => String(value).toWellFormed();

  define("response", {
    status: (code) => host.responseStatus(Number(code)),
    json: (data) => host.responseJson(stringify(data) ?? "null"),
    send: (html) => host.responseSend(text(html)),
  });
  define("redirect", (url, status = 302) => host.responseRedirect(text(url), Number(status)));
  define("setHeader", (name, value) => host.responseSetHeader(text(name), text(value)));
};
