//! Escaping in `<svg>` and `<math>`.

use super::*;

#[test]
fn reads_tags_in_svg_elements_that_are_text_in_html() {
    check(&[
        ("<title><a href=\"{{ var.evil }}\">", "<title><a href=\"javascript:alert(1)\">"),
        ("<svg><title><a href=\"{{ var.evil }}\">", "<svg><title><a href=\"#blocked\">"),
        ("<svg><style><a href=\"{{ var.evil }}\">", "<svg><style><a href=\"#blocked\">"),
        ("<svg><textarea><a onclick=\"f('{{ ')' }}')\">", "<svg><textarea><a onclick=\"f('\\u0029')\">"),
        ("<math><xmp><a href=\"{{ var.evil }}\">", "<math><xmp><a href=\"#blocked\">"),
        ("<svg><title>{{ '<' }}</title></svg>{{ '<' }}", "<svg><title>&lt;</title></svg>&lt;"),
        (
            "<svg><style>a { b: '{{ ';' }}' }</style></svg>{{ ';' }}",
            "<svg><style>a { b: '\\3b ' }</style></svg>;",
        ),
        ("<svg><script>f('{{ ';' }}')</script></svg>{{ ';' }}", "<svg><script>f('\\u003b')</script></svg>;"),
        ("<svg><script><g>{{ ';' }}</g></script></svg>", "<svg><script><g>\\u003b</g></script></svg>"),
    ]);
}

#[test]
fn reads_html_inside_svg_as_html() {
    check(&[
        (
            "<svg><foreignObject><script>if (a<b) f('{{ ';' }}')</script></foreignObject></svg>",
            "<svg><foreignObject><script>if (a<b) f('\\u003b')</script></foreignObject></svg>",
        ),
        (
            "<svg><g><p><title><a href=\"{{ var.evil }}\">",
            "<svg><g><p><title><a href=\"javascript:alert(1)\">",
        ),
        (
            "<svg><path></svg><script>a<b; '{{ ';' }}'</script>",
            "<svg><path></svg><script>a<b; '\\u003b'</script>",
        ),
        ("<svg/><script>a<b; '{{ ';' }}'</script>", "<svg/><script>a<b; '\\u003b'</script>"),
    ]);
}

#[test]
fn rejects_ambiguous_tags_where_tags_do_not_match() {
    check(&[
        ("<svg></div><title>{{ '<' }}</title></svg>", "<svg></div><title>&lt;</title></svg>"),
        ("<svg></div><script>'{{ '<' }}'</script></svg>", "<svg></div><script>'\\u003c'</script></svg>"),
        (
            "<svg></div></svg><script>a<b; '{{ ';' }}'</script>",
            "<svg></div></svg><script>a<b; '\\u003b'</script>",
        ),
        ("<svg>@if(var.t)<g>@endif<title>{{ '<' }}</title></svg>", "<svg><g><title>&lt;</title></svg>"),
    ]);
    for (source, expected) in [
        ("<svg></div><title><a href=\"{{ var.evil }}\">", "page.html:1:20: whether this is a tag depends on"),
        ("<svg></div><script>a</b", "page.html:1:23: whether this is a tag depends on"),
        ("<svg></div><script><!--", "page.html:1:21: whether this is a tag depends on"),
        ("<svg></div><script/>", "page.html:1:20: whether this is the end of this element depends on"),
        ("<svg></div><![CDATA[ x", "page.html:1:20: whether this is a CDATA section depends on"),
        ("@foreach(a in [1])<svg>@endforeach<title><b", "page.html:1:43: whether this is a tag depends on"),
    ] {
        let error = page(source);
        assert!(error.starts_with(expected), "{source}: {error}");
    }
}

#[test]
fn escapes_in_cdata_sections() {
    check(&[
        (
            "<svg><style><![CDATA[ a > b { c: '{{ ';' }}' } <a title=\" ]]></style><a href=\"{{ var.evil }}\">",
            "<svg><style><![CDATA[ a > b { c: '\\3b ' } <a title=\" ]]></style><a href=\"#blocked\">",
        ),
        ("<svg><![CDATA[<a href=\"{{ ']]>' }}]]]>{{ '<' }}", "<svg><![CDATA[<a href=\"]]&gt;]]]>&lt;"),
        ("<![CDATA[ > {{ '<' }}", "<![CDATA[ > &lt;"),
        ("<svg><![CDAT[ > {{ '<' }}", "<svg><![CDAT[ > &lt;"),
        (
            "<svg><![CDATA[]{{ 1 }}]]>",
            "page.html:1:16: {{ }} is not allowed right after \"]\" in a CDATA section",
        ),
    ]);
}
