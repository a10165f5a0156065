// `redirect`, `response.json` and `response.send` do not return: the host ends the run, even
// inside `try`.
(host, define) => {
  define("response", {
    status: (code) => host.responseStatus(Number(code)),
    json: (data) => host.responseJson(host.json("response.json", data)),
    send: (html) => host.responseSend(host.text("response.send", html)),
  });
  define("redirect", (url, status = 302) => host.responseRedirect(host.text("redirect", url), Number(status)));
  define("setHeader", (name, value) =>
    host.responseSetHeader(host.text("setHeader", name), host.text("setHeader", value)),
  );
};
