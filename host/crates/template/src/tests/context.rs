//! Escaping by the place of a value.

use super::*;

#[test]
fn escapes_values_by_their_context() {
    check(&[
        ("<p>{{ var.html }}</p>", "<p>&lt;b&gt;&quot;x&quot; &amp; &#39;y&#39;&lt;/b&gt;</p>"),
        ("<p title=\"{{ var.html }}\">", "<p title=\"&lt;b&gt;&quot;x&quot; &amp; &#39;y&#39;&lt;/b&gt;\">"),
        ("<p title='{{ var.quote }}'>", "<p title='&quot;;alert(1)//&#39;'>"),
        ("<p title={{ var.long }}>", "<p title=The&#32;quick&#32;brown&#32;fox&#32;jumps>"),
        ("<p title={{ var.empty }} class=a>", "<p title=\"\" class=a>"),
        ("<p title=a{{ var.empty }} class=a>", "<p title=a class=a>"),
        ("<p id={{ var.one }}-x>", "<p id=1-x>"),
        (
            "<textarea>{{ var.script }}</textarea>",
            "<textarea>&lt;/script&gt;&lt;script&gt;alert(1)&lt;/script&gt;</textarea>",
        ),
        (
            "<title>{{ var.html }}</title>",
            "<title>&lt;b&gt;&quot;x&quot; &amp; &#39;y&#39;&lt;/b&gt;</title>",
        ),
        ("<!-- {{ '-->' }} -->", "<!-- &#45;&#45;&gt; -->"),
        ("<!--{{ var.empty }}-->", "<!-- -->"),
        (
            "<script>var a = {{ var.one }}, b = {{ var.t }}, c = {{ var.null }}, d = \"{{ var.quote }}\";</script>",
            "<script>var a = 1, b = true, c = null, d = \"\\u0022\\u003balert\\u00281\\u0029\\u002f\\u002f\\u0027\";</script>",
        ),
        (
            "<script>var a = '{{ var.script }}'</script>",
            "<script>var a = '\\u003c\\u002fscript\\u003e\\u003cscript\\u003ealert\\u00281\\u0029\\u003c\\u002fscript\\u003e'</script>",
        ),
        (
            "<script>var a = {{ var.people | json }}, b = {{ var.script | json | raw }}</script>",
            "<script>var a = [{\"name\":\"Ada\",\"age\":36},{\"name\":\"Bob\",\"age\":7}], b = \"\\u003c\\u002fscript\\u003e\\u003cscript\\u003ealert\\u00281\\u0029\\u003c\\u002fscript\\u003e\"</script>",
        ),
        (
            "<p>{{ ['a/b', '<'] | json | raw }}</p><p title=\"{{ ['a/b'] | json }}\">",
            "<p>[\"a/b\",\"\\u003c\"]</p><p title=\"[&quot;a/b&quot;]\">",
        ),
        (
            "<script>JSON.parse('{{ var.list }}'); x = [{{ var.no }}]</script>",
            "<script>JSON.parse('\\u005b3\\u002c1\\u002c2\\u005d'); x = []</script>",
        ),
        (
            "<button onclick=\"f('{{ var.quote }}', {{ var.one }}, {{ var.map | json }})\">",
            "<button onclick=\"f('\\u0022\\u003balert\\u00281\\u0029\\u002f\\u002f\\u0027', 1, {&quot;b&quot;:1,&quot;a&quot;:&quot;x&quot;})\">",
        ),
        ("<button onclick=f({{ var.one }})>", "<button onclick=f(1)>"),
        (
            "<p style=\"width: {{ 50 }}%; color: {{ '#fff' }}; {{ 'a:b;c' }}\">",
            "<p style=\"width: 50%; color: #fff; a\\3a b\\3b c\">",
        ),
        (
            "<style>p { content: '{{ '\\'}</style>' }}' }</style>",
            "<style>p { content: '\\27 \\7d \\3c \\2f style\\3e ' }</style>",
        ),
        (
            "<p>{{ var.html | raw }}</p><a href=\"{{ var.evil | raw }}\">",
            "<p><b>\"x\" & 'y'</b></p><a href=\"javascript:alert(1)\">",
        ),
        (
            "<svg><title>{{ '<' }}</title><script/></svg>{{ '<' }}",
            "<svg><title>&lt;</title><script/></svg>&lt;",
        ),
        ("<script/>{{ '<' }}</script>", "<script/>\\u003c</script>"),
        ("a < b {{ '<' }} <3 {{ '>' }}", "a < b &lt; <3 &gt;"),
        ("<script>if (a <{{ var.one }}) b()</script>", "<script>if (a <1) b()</script>"),
        (
            "<script><!-- <script> </script> {{ '<' }} --></script>{{ '<' }}",
            "<script><!-- <script> </script> \\u003c --></script>&lt;",
        ),
    ]);
}

#[test]
fn allows_values_in_srcdoc_only_in_its_text() {
    check(&[
        ("<iframe srcdoc=\"{{ '<b>' }}\">", "<iframe srcdoc=\"&amp;lt;b&amp;gt;\">"),
        (
            "<iframe srcdoc='<p class=&quot;a&quot;>{{ '<' }}'>",
            "<iframe srcdoc='<p class=&quot;a&quot;>&amp;lt;'>",
        ),
        ("<iframe srcdoc=\"<p>a &lt b{{ '<' }}\">", "<iframe srcdoc=\"<p>a &lt b&amp;lt;\">"),
        (
            "<iframe srcdoc=\"@foreach(v in [1, '<'])<li>{{ v }}</li>@endforeach@if(var.f)<b>@endif{{ '&' }}\">",
            "<iframe srcdoc=\"<li>1</li><li>&amp;lt;</li>&amp;amp;\">",
        ),
        (
            "<iframe srcdoc=\"<iframe srcdoc='<iframe srcdoc=x'>\">{{ 1 }}",
            "<iframe srcdoc=\"<iframe srcdoc='<iframe srcdoc=x'>\">1",
        ),
    ]);
    for inner in [
        "<a href='{{ 1 }}'>",
        "<a href=&quot;{{ 1 }}&quot;>",
        "<a title={{ 1 }}>",
        "&lt;a title={{ 1 }}>",
        "&#60a title={{ 1 }}>",
        "<a {{ 1 }}>",
        "<script>{{ 1 }}</script>",
        "<style>{{ 1 }}</style>",
        "<svg><script>{{ 1 }}</script></svg>",
        "<!-- {{ 1 }} -->",
        "<iframe srcdoc='{{ 1 }}'>",
        "&{{ 1 }}",
        "&lt{{ 1 }}",
        "@if(1)<a title='@endif{{ 1 }}",
    ] {
        let error = page(&format!("<iframe srcdoc=\"{inner}\">"));
        let says = ["page.html:1:", "in srcdoc, {{ }} is allowed only in the text of its HTML"];
        let is_branch = error.contains("end differently in the value of \"srcdoc\"");
        assert!(is_branch || says.iter().all(|part| error.contains(part)), "{inner}: {error}");
    }
    assert_eq!(
        page("<p>\n<iframe srcdoc=\"<a href='{{ var.evil }}'>\">"),
        "page.html:2:26: in srcdoc, {{ }} is allowed only in the text of its HTML"
    );
}

/// Prints JSON into every kind of script, with text that could end the script.
#[test]
fn prints_json_safely_in_every_kind_of_script() {
    let payload = "\"'`${x}</script>]]>&quot;%22\\-->\u{2028}\n";
    let variables = json!({ "p": payload });
    for (before, after) in [
        ("<script>f(", ")</script>"),
        ("<script>f('", "')</script>"),
        ("<script>f(`", "`)</script>"),
        ("<svg><script>f(", ")</script></svg>"),
        ("<svg><script><![CDATA[f(", ")]]></script></svg>"),
        ("<a href=\"javascript:f(", ")\">"),
        ("<a onclick='f(", ")'>"),
    ] {
        for filters in ["json", "json | raw"] {
            let source = format!("{before}{{{{ var.p | {filters} }}}}{after}");
            let html = render_with(&Files::default(), &source, &variables).map(|rendered| rendered.html);
            let html = html.unwrap_or_else(|error| error.to_string());
            let value = html.strip_prefix(before).and_then(|rest| rest.strip_suffix(after)).unwrap_or("");
            let json = value.replace("&quot;", "\"");
            assert_eq!(serde_json::from_str::<String>(&json).ok().as_deref(), Some(payload), "{html}");
            let text = json.trim_matches('"');
            assert!(text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '\\' | '-')), "{html}");
        }
    }
}

/// JSON that reaches an attribute or a comment in any way, with text that could end it.
#[test]
fn raw_json_stays_inside_attributes_and_comments() {
    let payload = "\" onmouseover=alert(1) '>--!><script>`&quot;";
    let variables = json!({ "p": payload, "o": { "k": payload }, "l": [payload] });
    let files = Files { components: vec![("c", "<p data-x=\"{{ config | raw }}\">")], ..Files::default() };
    for value in [
        "var.p | json | raw",
        "(var.p | json) | raw",
        "((var.p | json | raw)) | raw",
        "var.o | json | trim | raw",
        "var.no | default:(var.p | json) | raw",
        "(var.no || (var.o | json)) | raw",
        "(\"x\" + (var.p | json) + '}') | raw",
        "[(var.p | json)] | join | raw",
        "'{x}' | replace:'{x}':(var.o | json) | raw",
        "dump(var.o) | raw",
        "var.o | raw",
        "var.l | raw",
        "config | raw",
    ] {
        for (before, after) in [
            ("<p data-x=\"", "\">"),
            ("<p data-x='", "'>"),
            ("<p title=\"a ", " b\">"),
            ("<p data-x=", ">"),
            ("<button onclick=\"f(", ")\">"),
            ("<button onclick='f(", ")'>"),
            ("<button onclick=f(", ")>"),
            ("<p style=\"--x: ", "\">"),
            ("<a href=\"/a?b=", "\">"),
            ("<a href=\"", "\">"),
            ("<a href=\"javascript:f(", ")\">"),
            ("<iframe srcdoc=\"<p>", "\">"),
            ("<!-- ", " -->"),
            ("<? ", " >"),
        ] {
            let set = "@set(config = var.o | json)";
            for output in [format!("{{{{ {value} }}}}"), format!("{{{{{{ {value} }}}}}}")] {
                let source = format!("{set}{before}{output}{after}");
                let html = render_with(&files, &source, &variables).map(|rendered| rendered.html);
                let html = html.unwrap_or_else(|error| error.to_string());
                let inside = html.strip_prefix(before).and_then(|rest| rest.strip_suffix(after));
                let inside = inside.unwrap_or_else(|| panic!("{source}: {html}"));
                assert!(inside.contains("onmouseover") || inside == "#blocked", "{source}: {html}");
                let ends = |c: char| matches!(c, '"' | '\'' | '<' | '>');
                assert!(!inside.contains(ends), "{source}: {html}");
                let is_unquoted = before.ends_with("x=") || before.ends_with("=f(");
                assert!(!is_unquoted || !inside.contains([' ', '=']), "{source}: {html}");
            }
        }
    }
    let source = "@component(\"c\", {config: var.o | json})";
    let html = render_with(&files, source, &variables).map(|rendered| rendered.html).unwrap_or_default();
    assert!(html.starts_with("<p data-x=\"{&quot;k&quot;:&quot;\\&quot; onmouseover"), "{html}");
}

#[test]
fn raw_json_does_not_end_scripts_and_styles() {
    let variables =
        json!({ "p": "</script></style><!--<script>'}*{x:expression(1)}", "o": { "k": "</script>" } });
    for value in ["var.p | json | raw", "(var.p | json) | raw", "config | raw", "var.o | raw"] {
        for output in [format!("{{{{ {value} }}}}"), format!("{{{{{{ {value} }}}}}}")] {
            for element in ["script", "style"] {
                let source = format!("@set(config = var.p | json)<{element}>x = {output}</{element}>");
                let html = render_with(&Files::default(), &source, &variables).map(|rendered| rendered.html);
                let html = html.unwrap_or_else(|error| error.to_string());
                assert_eq!(html.matches('<').count(), 2, "{source}: {html}");
            }
        }
    }
    check(&[
        (
            "<style>a { b: {{ {c: 'd\\'}'} | json | raw }} }</style>",
            "<style>a { b: {\"c\":\"d\\u0027\\u007d\"} }</style>",
        ),
        ("<p>{{ var.map | raw }}</p>", "<p>{\"b\":1,\"a\":\"x\"}</p>"),
        ("<p>{{ {a: '<b>'} | raw }}</p>", "<p>{\"a\":\"\\u003cb>\"}</p>"),
    ]);
}

#[test]
fn rejects_values_in_names() {
    for source in [
        "<{{ 'a' }}>",
        "<a{{ 'b' }}>",
        "</{{ 'a' }}>",
        "<a {{ 'b' }}>",
        "<a {{ 'b' | raw }}=1>",
        "<a b{{ 'c' }}=1>",
        "<a b {{ 'c' }}>",
        "<a b=\"1\"{{ 'c' }}>",
        "<a b=\"1\" {{ 'c' }}>",
        "<a/{{ 'b' }}>",
        "<a b=1 {{ 'c' }}>",
        "<!{{ 'a' }}>",
        "<a @if(1)b@endif{{ 'c' }}>",
    ] {
        let error = page(source);
        assert!(error.ends_with("{{ }} is not allowed in a tag or attribute name"), "{source}: {error}");
    }
    for (source, expected) in [
        ("<!-- --{{ 'a' }}> -->", "right after \"--\""),
        ("<script></script{{ 'a' }}>", "could end the element"),
        ("<script><{{ '' }}/script>", "could together end the element"),
        ("<p title={{ 'a' }}{{ 'b' }}>", "put quotes around"),
        ("<p title={{ 'a' }}@if(1)b@endif>", "put quotes around"),
    ] {
        let error = page(source);
        assert!(error.contains(expected), "{source}: {error}");
    }
}

#[test]
fn rejects_branches_that_end_in_different_places() {
    check(&[
        ("<a @if(var.t)class=\"b\"@endif>{{ '<' }}", "<a class=\"b\">&lt;"),
        ("<input @if(var.t)checked@endif>", "<input checked>"),
        ("<input @if(var.t)checked@else disabled@endif/>", "<input checked/>"),
        ("<input @if(var.f)checked@endif value=\"{{ '<' }}\">", "<input  value=\"&lt;\">"),
        ("<input@if(var.t) value=a@endif>", "<input value=a>"),
        ("<a href=\"@if(var.t)/a@else/b@endif?{{ 'x:y' }}\">", "<a href=\"/a?x:y\">"),
        ("@if(var.t)<script>@else<script async>@endif'{{ '<' }}'</script>", "<script>'\\u003c'</script>"),
        ("<p @foreach(k in [1,2]) data-x=\"{{ k }}\"@endforeach>", "<p  data-x=\"1\" data-x=\"2\">"),
        (
            "<select>@foreach(n in var.list)<option @if(n == 1)selected@endif>{{ n }}</option>@endforeach</select>",
            "<select><option >3</option><option selected>1</option><option >2</option></select>",
        ),
    ]);
    for (source, expected) in [
        ("@if(1)<script>@endif x", "page.html:1:1: one branch ends in a <script> element, another in text"),
        ("<p @if(1)title=\"@else class=\"@endif x\">{{ 'a' }}", ""),
        (
            "<p @if(1)title=\"@else onclick=\"@endif x\">",
            "page.html:1:4: one branch ends in the value of \"title\", another in the value of \"onclick\"",
        ),
        (
            "<p @if(1)title=\"x@endif>",
            "page.html:1:4: one branch ends in the value of \"title\", another in a <p> tag",
        ),
        ("<p @if(1)a@endif=\"x\">", "page.html:1:17: this would mean something different after each branch"),
        ("<p @if(1)onclick@else title@endif=\"{{ 1 }}\">", "page.html:1:34: this would mean"),
        ("<p @if(1)on@endif{{ 'x' }}>", "page.html:1:18: {{ }} is not allowed"),
        (
            "@foreach(a in [1])<p title=\"@endforeach",
            "page.html:1:1: @foreach begins in text and ends in the value of \"title\"",
        ),
    ] {
        let error = page(source);
        assert!(error.starts_with(expected), "{source}: {error}");
    }
}

/// Prints the texts that an attacker would send in every context. The output must not contain a
/// character that has a meaning there.
#[test]
fn prints_payloads_as_text_in_every_context() {
    let payloads = [
        "<script>alert(1)</script>",
        "\"><img src=x onerror=alert(1)>",
        "' onmouseover='alert(1)",
        "javascript:alert(1)",
        "</title><script>alert(1)</script>",
        "--><script>alert(1)</script>",
        "--!><script>x</script>",
        "</style><script>alert(1)</script>",
        "'-alert(1)-'",
        "\\'-alert(1)//",
        "${alert(1)}",
        "`;alert(1)//",
        "a b onfocus=alert(1) autofocus",
        "\u{2028}alert(1)",
        "<!--<script>",
        "&#106;avascript:alert(1)",
        "url(javascript:alert(1))",
        "expression(alert(1))",
        "{{ var.name }}",
        "\0<b>",
        "</textarea><b>",
        "]]><b>",
        "\njavascript:alert(1)",
    ];
    let contexts = [
        ("<p>", "</p>", "<>\"'"),
        ("<p title=\"", "\">", "<>\"'"),
        ("<p title='", "'>", "<>\"'"),
        ("<p title=", " class=a>", "<>\"'= `\n"),
        ("<textarea>", "</textarea>", "<>"),
        ("<title>", "</title>", "<>"),
        ("<!-- ", " -->", "<>-"),
        ("<script>'", "'</script>", "<>'\"`$\\\u{2028}\n/(;"),
        ("<script>`", "`</script>", "<>'\"`$/(;\u{2028}"),
        ("<p onclick=\"f('", "')\">", "<>'\"(;/"),
        ("<style>a{b:", "}</style>", "<>'\"(;:/}"),
        ("<p style=\"a:", "\">", "<>'\"(;:/}"),
        ("<a href=\"/x?", "\">", "<>'\""),
        ("<noscript>", "</noscript>", "<>"),
        ("<xmp>", "</xmp>", "<>"),
    ];
    for payload in payloads {
        let variables = json!({ "p": payload });
        for (before, after, forbidden) in contexts {
            let source = format!("{before}{{{{ var.p }}}}{after}");
            let html = match render_with(&Files::default(), &source, &variables) {
                Ok(rendered) => rendered.html,
                Err(error) => error.to_string(),
            };
            let value = html.strip_prefix(before).and_then(|rest| rest.strip_suffix(after));
            let value = value.unwrap_or("<no value>");
            // A backslash begins an escape sequence, which is always hexadecimal.
            let bad = value.chars().find(|c| forbidden.contains(*c) && *c != '\\');
            assert_eq!(bad, None, "{source} with {payload:?} gave {html}");
        }
        let href = render_with(&Files::default(), "<a href=\"{{ var.p }}\">", &variables);
        let html = href.map(|rendered| rendered.html).unwrap_or_default();
        assert!(!html.contains("javascript:"), "{payload:?} gave {html}");
    }
}
