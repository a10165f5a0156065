//! Hostile values in every place of a page, in a real browser. None of them runs.

use serde_json::{Value, json};

use crate::browser::Browser;
use crate::harness::{Server, TestSite};

/// Each value calls `hit` if a part of it is interpreted as markup or code.
const PAYLOADS: &[&str] = &[
    "<script>hit()</script>",
    "</script><script>hit()</script>",
    "</ScRiPt ><sCript>hit()</scRipt>",
    "<img src=x onerror=hit()>",
    "<img src=x onerror=\"hit()\">",
    "<svg onload=hit()>",
    "<svg><script>hit()</script></svg>",
    "<math><mi//xlink:href=\"data:x,<script>hit()</script>\">",
    "<iframe srcdoc=\"<script>parent.hit()</script>\"></iframe>",
    "<details open ontoggle=hit()>",
    "<input autofocus onfocus=hit()>",
    "<body onload=hit()>",
    "<style onload=hit()></style>",
    "\"><script>hit()</script>",
    "'><script>hit()</script>",
    "\" onmouseover=\"hit()\" onclick=\"hit()\" x=\"",
    "' onmouseover='hit()' onclick='hit()' x='",
    " onmouseover=hit() onclick=hit() autofocus onfocus=hit() x=",
    "x\tonclick=hit()\ttabindex=1",
    "x\nonclick=hit()\n",
    "x\u{c}onclick=hit()",
    "x/onclick=hit()/",
    "x`onclick=hit()",
    "javascript:hit()",
    "JaVaScRiPt:hit()",
    " javascript:hit()",
    "\u{1}javascript:hit()",
    "java\tscript:hit()",
    "java\nscript:hit()",
    "javascript&colon;hit()",
    "&#106;avascript:hit()",
    "javascript:hit()//http://",
    "data:text/html,<script>parent.hit()</script>",
    "data:text/html;base64,PHNjcmlwdD5wYXJlbnQuaGl0KCk8L3NjcmlwdD4=",
    "vbscript:hit()",
    "//127.0.0.1:9/x.js",
    "\";hit();//",
    "';hit();//",
    "`;hit();//",
    "\\\";hit();//",
    "\\';hit();//",
    "${hit()}",
    "\n;hit();//",
    "\u{2028};hit();//",
    "*/hit();/*",
    "-hit()-",
    "\"-hit()-\"",
    "'-hit()-'",
    "');hit();('",
    "\");hit();(\"",
    "&quot;);hit();(&quot;",
    "&#39;);hit();(&#39;",
    "-->\"><script>hit()</script>",
    "--!><script>hit()</script>",
    "<!--<script>",
    "]]><script>hit()</script>",
    "</title><script>hit()</script>",
    "</textarea><script>hit()</script>",
    "</style><script>hit()</script>",
    "</noscript><script>hit()</script>",
    "}</style><img src=x onerror=hit()>",
    "red;background:url(javascript:hit())",
    "expression(hit())",
    "\\3c/style\\3e<script>hit()</script>",
    "{{ 1 }}<script>hit()</script>",
    "@if(1)<script>hit()</script>@endif",
];

/// The places of values. `{{ p }}` is the value.
const PLACES: &[&str] = &[
    "<p>{{ p }}</p>",
    "<p>{{ dump(p) }}</p>",
    "<p>{{ dump([p, {k: p}]) }}</p>",
    "<p>{{ [p] }}</p>",
    "<p>{{ p | upper | lower }}</p>",
    "<p>{{ p | nl2br | raw }}</p>",
    "<p>{{ p | json }}</p>",
    "<p title=\"{{ p }}\">a</p>",
    "<p title='{{ p }}'>a</p>",
    "<p title={{ p }} id=x>a</p>",
    "<p title=a{{ p }}b>a</p>",
    "<p data-x=\"{{ dump(p) }}\">a</p>",
    "<a class=t href=\"{{ p }}\">a</a>",
    "<a class=t href='{{ p }}'>a</a>",
    "<a class=t href={{ p }}>a</a>",
    "<a class=t href=\" {{ p }}\">a</a>",
    "<a class=t href=\"/search?q={{ p | url_encode }}\">a</a>",
    "<a class=t href=\"{{ '' }}{{ p }}\">a</a>",
    "<img src=\"{{ p }}\">",
    "<iframe src=\"{{ p }}\"></iframe>",
    "<iframe srcdoc=\"{{ p }}\"></iframe>",
    "<form action=\"{{ p }}\"><button class=t formaction=\"{{ p }}\">b</button></form>",
    "<svg><a xlink:href=\"{{ p }}\"><text class=t y=9>a</text></a></svg>",
    "<object data=\"{{ p }}\"></object>",
    "<embed src=\"{{ p }}\">",
    "<textarea>{{ p }}</textarea>",
    "<noscript>{{ p }}</noscript>",
    "<!-- {{ p }} -->",
    "<!--{{ p }}-->",
    "<style>.x { color: {{ p }} } .y::after { content: '{{ p }}' }</style>",
    "<p style=\"color: {{ p }}; content: '{{ p }}'\">a</p>",
    "<button class=t onclick=\"noop('{{ p }}')\">b</button>",
    "<button class=t onclick='noop(\"{{ p }}\")'>b</button>",
    "<button class=t onclick=\"noop({{ p | json }})\">b</button>",
    "<script>noop(\"{{ p }}\")</script>",
    "<script>noop('{{ p }}')</script>",
    "<script>noop(`{{ p }}`)</script>",
    "<script>noop({{ p | json }}, {{ [p, {k: p}] | json | raw }})</script>",
    "<script type=\"application/json\">{{ {k: p} | json | raw }}</script>",
    "<script>noop(`{{ p | json }}`)</script>",
    "<svg><script>noop({{ p | json }})</script></svg>",
    "<svg><script><![CDATA[noop({{ p | json }})]]></script></svg>",
    "<a class=t href=\"javascript:noop({{ p | json }})\">a</a>",
    "<a class=t href=\"&#32;{{ p }}\">a</a>",
    "<a class=t href=\"@if(is_customer){{ p }}@endif{{ p }}\">a</a>",
    "<svg><title><a class=t href=\"{{ p }}\">a</a></title></svg>",
    "<svg><a><animate attributeName=href values=\"#x;{{ p }}\" /><text class=t y=9>a</text></a></svg>",
    "<iframe srcdoc=\"<b>{{ p }}</b>\"></iframe>",
    "<p>{{ p | json | raw }}</p>",
    "<p data-x=\"{{ p | json | raw }}\">a</p>",
    "<p data-x='{{{ {k: p} | json }}}'>a</p>",
    "<p data-x={{ [p] | json | raw }} id=x>a</p>",
    "@set(j = p | json)<p data-x=\"{{ j | raw }}\" title='{{ \"x\" + j | raw }}'>a</p>",
    "<p data-x=\"{{ [p] | raw }}\">a</p>",
    "<a class=t href=\"{{ p | json | raw }}\">a</a>",
    "<button class=t onclick=\"noop({{ p | json | raw }})\">b</button>",
    "<!-- {{ p | json | raw }} -->",
    "<style>.x { --y: {{ p | json | raw }} }</style>",
    "<a class=t href=\"{{ p | productUrl:p }}\">a</a>",
    "@setSessionItem('x', p)<p title=\"{{ getSessionItem('x') }}\">{{ getSessionItem('x') }}{{ t(p) }}</p>",
];

/// The base prevents frames from loading the page itself again for each payload.
const HEAD: &str = "<!doctype html><meta charset=utf-8><base href=\"/nowhere/\"><script>window.hits = []; window.noops = 0;\
    function hit() { hits.push(document.currentScript?.outerHTML ?? 'an event') }\
    function noop() { noops++ }</script>";

/// Does what visitors do: hovers, focuses and clicks. Only `javascript:` addresses are followed,
/// in any spelling, so that no link leads away from the page.
const POKE: &str = "(() => { const address = e => ['href', 'xlink:href', 'formaction'] \
    .map(name => e.getAttribute(name)).find(value => value !== null) ?? ''; \
    const runs = text => { try { return new URL(text, location).protocol === 'javascript:' } catch { return false } }; \
    addEventListener('click', event => { const e = event.target.closest('a, button'); \
      if (e && !runs(address(e))) event.preventDefault(); }); \
    for (const e of document.querySelectorAll('*')) { \
      for (const type of ['mouseover', 'focus', 'load', 'toggle']) e.dispatchEvent(new Event(type)); \
      if (e.matches('.t, [onclick], [tabindex]')) e.dispatchEvent(new MouseEvent('click', {bubbles: true, cancelable: true})); \
    } return document.querySelectorAll('*').length })()";

fn site() -> TestSite {
    let site = TestSite::with(&[("brand.toml", "default = true\n")]);
    let list = serde_json::to_string(PAYLOADS).unwrap().replace('\u{2028}', "\\u2028");
    site.write("brands/demo/modules/payloads.js", &format!("export const payloads = {list};"));
    let script = "<script scope=\"backend\">import { payloads } from 'payloads'; setVariable('payloads', payloads)</script>";
    let page = |places: &[&str]| {
        let places = places.concat();
        format!("{HEAD}{script}\n@foreach(p in var.payloads){places}@endforeach<i id=end></i>")
    };
    for (index, place) in PLACES.iter().enumerate() {
        site.write(&format!("brands/demo/pages/place{index}.html"), &page(&[place]));
    }
    site.write("brands/demo/pages/careless.html", &page(&["<p>{{ p | raw }}</p>"]));
    site.write("brands/demo/pages/careless-link.html", &page(&["<a class=t href=\"{{ p | raw }}\">a</a>"]));
    site
}

fn hits(browser: &Browser, url: &str) -> Value {
    browser.go(url);
    browser.wait_for("document.readyState", &json!("complete"));
    browser.eval(POKE);
    // `javascript:` addresses run after the event.
    browser.eval("new Promise(done => setTimeout(done, 50))");
    browser.eval("window.hits")
}

#[test]
fn no_value_runs_in_any_place() {
    let site = site();
    let server = Server::start(site.path());
    let address = format!("http://localhost:{}", server.address.port());
    let browser = Browser::open();
    // Checks the test itself: the payloads run without escaping.
    for careless in ["careless", "careless-link"] {
        let hits = hits(&browser, &format!("{address}/{careless}"));
        assert!(hits.as_array().is_some_and(|hits| !hits.is_empty()), "{careless}: {hits}");
    }
    for (index, place) in PLACES.iter().enumerate() {
        let answer = server.get("localhost", &format!("/place{index}"));
        assert_eq!(answer.status, 200, "{place}");
        assert!(answer.body.ends_with("<i id=end></i>"), "{place} renders completely");
        let found = hits(&browser, &format!("{address}/place{index}"));
        assert_eq!(found, json!([]), "{place}");
        assert_eq!(
            browser.eval("!!document.getElementById('end')"),
            json!(true),
            "the value does not close its element: {place}"
        );
        if place.contains("noop(") {
            let least = PAYLOADS.len();
            assert_eq!(browser.eval(&format!("noops >= {least}")), json!(true), "{place} still works");
        }
    }
}
