//! Tests of URLs in attributes.

use super::*;

#[test]
fn checks_urls_where_they_begin() {
    check(&[
        ("<a href=\"{{ var.url }}\">", "<a href=\"https://example.org/a?b=c&amp;d=1\">"),
        ("<a href=\"{{ var.evil }}\">", "<a href=\"#blocked\">"),
        ("<a href=' {{ var.evil }}'>", "<a href=' #blocked'>"),
        ("<a href={{ var.evil }}>", "<a href=&#35;blocked>"),
        ("<a href=\"{{ '/a b' }}?q={{ var.evil }}\">", "<a href=\"/a b?q=javascript:alert(1)\">"),
        ("<a href=\"/p/{{ 'x:y' }}\">", "<a href=\"/p/x:y\">"),
        ("<a href=\"{{ 'java' }}{{ 'script:alert(1)' }}\">", "<a href=\"java#blocked\">"),
        ("<a href=\"java{{ 'script:alert(1)' }}\">", "<a href=\"java#blocked\">"),
        ("<a href=\"{{ 'https' }}://{{ 'a:b' }}\">", "<a href=\"https://a:b\">"),
        ("<a href=\"{{ 'javascript' }}:{{ 'alert(1)' }}\">", "<a href=\"#blocked:alert(1)\">"),
        ("<a href=\"{{ 'https://h' }}:80\">", "<a href=\"https://h:80\">"),
        (
            "<a href=\"{{ 'a' }}b:c\">",
            "page.html:1:20: write the scheme of the URL as text, or put the whole URL into one {{ }}",
        ),
        ("<a href=\"mailto:{{ 'a:b' }}\">", "<a href=\"mailto:a:b\">"),
        (
            "<a href=\"javascript:f('{{ var.quote }}')\">",
            "<a href=\"javascript:f('\\u0022\\u003balert\\u00281\\u0029\\u002f\\u002f\\u0027')\">",
        ),
        (
            "<img src=\"{{ 'data:image/png;base64,x' }}\" alt=\"{{ 'data:x' }}\">",
            "<img src=\"#blocked\" alt=\"data:x\">",
        ),
        (
            "<form action='{{ 'vbscript:x' }}'><button formaction=\"{{ 'x:y' }}\"><video poster='{{ 'tel:1' }}'>",
            "<form action='#blocked'><button formaction=\"#blocked\"><video poster='tel:1'>",
        ),
        ("<img srcset=\"{{ 'a.png' }} 1x, {{ var.evil }} 2x\">", "<img srcset=\"a.png 1x, #blocked 2x\">"),
        ("<use xlink:href='{{ var.evil }}'/>", "<use xlink:href='#blocked'/>"),
        ("<a href=\"@if(var.t){{ var.evil }}@endif\">", "<a href=\"#blocked\">"),
        ("<a href=\"@if(var.f)/base@endif{{ var.evil }}\">", "<a href=\"#blocked\">"),
        ("<a href=\"@if(var.f)java@endif{{ 'script:x' }}\">", "<a href=\"#blocked\">"),
        ("<a href=\"@foreach(c in ['java','script:x']){{ c }}@endforeach\">", "<a href=\"java#blocked\">"),
    ]);
}

#[test]
fn checks_urls_with_the_text_before_the_value() {
    check(&[
        (
            "<a href=\"@if(var.empty){{ var.empty }}@endif{{ var.url }}\">",
            "<a href=\"https://example.org/a?b=c&amp;d=1\">",
        ),
        ("<a href=\"@if(var.empty){{ var.empty }}@endif{{ var.evil }}\">", "<a href=\"#blocked\">"),
        ("<a href=\"@if(var.t){{ 'java' }}@endif{{ 'script:x' }}\">", "<a href=\"java#blocked\">"),
        ("<a href='@if(var.t){{ '/b' }}@endif{{ 'c:d' }}'>", "<a href='/bc:d'>"),
        ("<a title=b href=h{{ 'ttps://a' }}>", "<a title=b href=https&#58;&#47;&#47;a>"),
        ("<a title=b href=java{{ 'script:x' }}>", "<a title=b href=java&#35;blocked>"),
        ("<a href=\"{{ var.empty }}{{ 'https://a' }}\">", "<a href=\"https://a\">"),
        ("<a href=\"{{ var.empty }}{{ var.evil }}\">", "<a href=\"#blocked\">"),
        (
            "<a href=\"{{ ' ' }}{{ '\tjava' }}{{ 'script' }}{{ ':x' }}\">",
            "<a href=\" \tjavascript#blocked\">",
        ),
        ("<a href=\"@if(var.f)/base@endif{{ 'https://a' }}\">", "<a href=\"https://a\">"),
        ("<a href=\"@if(var.t)/base@endif{{ 'a:b' }}\">", "<a href=\"/basea:b\">"),
        ("<a href=\"http{{ 's://a' }}\">", "<a href=\"https://a\">"),
        (
            "<a title=\"a:b\" href=\"{{ '' }}{{ '' }}{{ 'https:' }}{{ '//a' }}\">",
            "<a title=\"a:b\" href=\"https://a\">",
        ),
    ]);
}

#[test]
fn decodes_character_references_in_urls() {
    check(&[
        ("<a href=\"&#32;{{ var.evil }}\">", "<a href=\"&#32;#blocked\">"),
        ("<a href=\"&#x1;&Tab;&NewLine;{{ var.evil }}\">", "<a href=\"&#x1;&Tab;&NewLine;#blocked\">"),
        ("<a href=\"java&#115;{{ 'cript:x' }}\">", "<a href=\"java&#115;#blocked\">"),
        ("<a href=\"java&#115;cript:f('{{ ')' }}')\">", "<a href=\"java&#115;cript:f('\\u0029')\">"),
        ("<a href=\"javascript&colon;f('{{ ')' }}')\">", "<a href=\"javascript&colon;f('\\u0029')\">"),
        ("<a href=\"javascript&#58f('{{ ')' }}')\">", "<a href=\"javascript&#58f('\\u0029')\">"),
        ("<a href=\"{{ 'javascript' }}&colon;x\">", "<a href=\"#blocked&colon;x\">"),
        ("<a href=\"{{ 'a' }}&sol;{{ 'b:c' }}\">", "<a href=\"a&sol;b:c\">"),
        ("<a href=\"/?a=1&{{ 'b:c' }}\">", "<a href=\"/?a=1&b:c\">"),
        (
            "<a href=\"&{{ var.evil }}\">",
            "page.html:1:11: {{ }} here could change the character reference before it; write \"&\" as \"&amp;\"",
        ),
        ("<a href=\"&amp;{{ 'b:c' }}\">", "<a href=\"&amp;#blocked\">"),
    ]);
}

#[test]
fn checks_every_url_of_a_list() {
    check(&[
        ("<animate values=\"{{ var.evil }}\">", "<animate values=\"#blocked\">"),
        ("<animate values=\"#x;{{ var.evil }}\">", "<animate values=\"#x;#blocked\">"),
        ("<animate values=\"#x; {{ 'a;javascript:x' }}\">", "<animate values=\"#x; #blocked\">"),
        ("<animate values=\"#{{ 'a;javascript:x' }};b\">", "<animate values=\"##blocked;b\">"),
        (
            "<animate values=\"{{ '0;1.5;#a;https://b' }};{{ 2 }}\">",
            "<animate values=\"0;1.5;#a;https://b;2\">",
        ),
        ("<animate values=\"#x&#59;{{ var.evil }}\">", "<animate values=\"#x&#59;#blocked\">"),
        ("<set from=\"{{ var.evil }}\" to='{{ var.evil }}'>", "<set from=\"#blocked\" to='#blocked'>"),
        ("<img srcset=\"/a/{{ 'b 1x, javascript:x' }}\">", "<img srcset=\"/a/#blocked\">"),
    ]);
}

#[test]
fn warns_of_a_blocked_url_with_its_place() {
    let source = "<p>\n<a href=\"{{ var.evil }}\">";
    let rendered = render_with(&Files::default(), source, &data());
    let expected = "page.html:2:10: printed #blocked instead of the URL \"javascript:alert(1)\"";
    assert_eq!(rendered.map(|rendered| rendered.warnings), Ok(vec![expected.to_owned()]));
}

#[test]
fn checks_the_address_of_a_refresh() {
    let meta = "<meta http-equiv=\"Refresh\" content=";
    let cases = [
        ("\"5; url={{ '/next' }}\">", "\"5; url=/next\">"),
        ("\"5; url={{ var.evil }}\">", "\"5; url=#blocked\">"),
        ("\"5; URL = '{{ var.evil }}'\">", "\"5; URL = '#blocked'\">"),
        ("\"5,{{ var.evil }}\">", "\"5,#blocked\">"),
        ("\"5 {{ var.evil }}\">", "\"5 #blocked\">"),
        ("\"5;{{ 'url=javascript:x' }}\">", "\"5;#blocked\">"),
        ("\"5;u{{ 'rl=javascript:x' }}\">", "\"5;u#blocked\">"),
        ("\"5;{{ 'java' }}{{ 'script:x' }}\">", "\"5;java#blocked\">"),
        ("\"5;url={{ 'https://a/?b:c' }}\">", "\"5;url=https://a/?b:c\">"),
        ("\"5;url=/p/{{ 'a:b' }}\">", "\"5;url=/p/a:b\">"),
        // A value for the number of seconds cannot bring its own address.
        ("\"{{ 5 }}; url=/next\">", "\"5; url=/next\">"),
        ("\"{{ '0;url=https://evil' }}; url=/next\">", "\"#blocked; url=/next\">"),
        ("\" 1{{ '0 //evil' }}; url=/next\">", "\" 1#blocked; url=/next\">"),
        ("{{ '0;//evil' }}>", "&#35;blocked>"),
        (
            "\"5;url={{ 'a' }}:b\">",
            "page.html:1:52: write the scheme of the URL as text, or put the whole URL into one {{ }}",
        ),
    ];
    for (content, expected) in cases {
        let page = format!("{meta}{content}");
        let expected =
            if expected.starts_with("page.html") { expected.to_owned() } else { format!("{meta}{expected}") };
        check(&[(page.as_str(), expected.as_str())]);
    }
    let before = |page: &str| {
        format!(
            "page.html:1:{}: write http-equiv before content: the value in content is the address of a refresh",
            page.len() - 1
        )
    };
    for page in [
        "<meta content=\"{{ var.url }}\" http-equiv=\"refresh\">",
        "<meta content={{ var.url }} http-equiv='re&#102;resh'>",
        "<meta content=\"{{ var.url }}\" http-equiv=\"{{ 'refresh' }}\">",
        "<meta @if(var.t) content=\"{{ var.url }}\" @endif http-equiv=\"refresh\">",
    ] {
        check(&[(page, before(page).as_str())]);
    }
    check(&[
        (
            "<meta http-equiv='{{ 'refresh' }}' content='0;url={{ var.evil }}'>",
            "<meta http-equiv='refresh' content='0;url=#blocked'>",
        ),
        (
            "<meta @if(var.t) http-equiv=refresh @endif content='0;url={{ var.evil }}'>",
            "<meta  http-equiv=refresh  content='0;url=#blocked'>",
        ),
        // Other tags are not affected.
        (
            "<meta name=description content=\"{{ 'a; url=b:c' }}\">",
            "<meta name=description content=\"a; url=b:c\">",
        ),
        (
            "<meta content=\"{{ 'b:c' }}\" http-equiv=content-type>",
            "<meta content=\"b:c\" http-equiv=content-type>",
        ),
        (
            "<meta http-equiv=refresh><meta content='{{ 'b:c' }}'>",
            "<meta http-equiv=refresh><meta content='b:c'>",
        ),
    ]);
}
