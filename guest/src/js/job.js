// host.enterJob: from then on, the calls throw that a job does not have. The host would not honour them.
(host) => {
  const REQUEST = "a job has no request; pass what it needs in the payload of queue.push";
  const SESSION = "a job has no visitor and no session; pass what it needs in the payload of queue.push";
  const RESPONSE = "a job has no response";
  const CALLS = [
    ["requestRead", "request", REQUEST],
    ["requestRawBody", "request.rawBody", REQUEST],
    ["sessionGet", "session.get", SESSION],
    ["sessionSet", "session.set", SESSION],
    ["sessionDelete", "session.delete", SESSION],
    ["sessionCustomer", "customer", SESSION],
    ["sessionSetCustomer", "session.setCustomer", SESSION],
    ["sessionClearCustomer", "session.clearCustomer", SESSION],
    ["sessionGetToken", "session.getToken", SESSION],
    ["sessionSetFromToken", "session.setFromToken", SESSION],
    ["cookieSet", "cookie.set", RESPONSE],
    ["cookieDelete", "cookie.delete", RESPONSE],
    ["responseStatus", "response.status", RESPONSE],
    ["responseJson", "response.json", RESPONSE],
    ["responseSend", "response.send", RESPONSE],
    ["responseRedirect", "redirect", RESPONSE],
    ["responseSetHeader", "setHeader", RESPONSE],
    ["variablesSet", "setVariable", "a job has no page whose template could read it"],
  ];

  host.enterJob = () => {
    for (const [native, name, reason] of CALLS) {
      host[native] = () => {
        throw new TypeError(`${name}: ${reason}`);
      };
    }
  };
};
