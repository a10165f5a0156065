// Serves the scripts of the compared pages in workerd. Each is a function that is compiled once, and all
// requests share one set of globals.
//
// The program that runs the comparison puts the functions before this text, as `pages`.
export default {
  fetch(request) {
    const page = pages[new URL(request.url).pathname.slice(1)];
    let body = "";
    page({ send: (text) => (body = text) });
    return new Response(body, { headers: { "content-type": "text/html; charset=utf-8" } });
  },
};
