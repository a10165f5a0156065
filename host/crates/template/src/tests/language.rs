//! Tests of expressions, directives and `v-if`.

use super::*;

#[test]
fn prints_paths_and_literals() {
    check(&[
        ("{{ var.name }}", "Ada"),
        ("{{var.name}}{{ var.one }}", "Ada1"),
        ("{{ var.people[1].name }}", "Bob"),
        ("{{ var['dashed-key'] }} {{ var[var.key] }}", "dash "),
        ("{{ var.map[var.key] }} {{ var.list[var.index] }}", "x 1"),
        ("{{ var.list.length }} {{ var.name.length }} {{ var.utf.length }}", "3 3 8"),
        ("{{ var.name[0] }}{{ var.name[9] }}", "A"),
        ("{{ customer.email }} {{ is_customer }}", "ada@example.org true"),
        ("{{ request.query.q }} {{ route_params.slug }}", "a b first"),
        ("{{ var.zero }} {{ var.half }} {{ var.big }} {{ var.minus }}", "0 0.5 1e+21 -3"),
        ("[{{ var.null }}{{ var.no }}{{ var.no.such.path }}{{ nothing.at.all }}]", "[]"),
        ("{{ var.t }} {{ true }} {{ null }}{{ undefined }}", "true true "),
        ("{{ 'it\\'s' }} {{ \"a\\n\" }} {{ 1.50 }} {{ -2 }}", "it&#39;s a\n 1.5 -2"),
        ("{{ var.list }} {{ var.map }}", "[3,1,2] {&quot;b&quot;:1,&quot;a&quot;:&quot;x&quot;}"),
        ("{{ var.people?.length }} {{ (var.people)[0].age }}", "2 36"),
        ("{{ [1, 'a', var.one] }} {{ {a: 1, 'b c': [2]}['b c'] }}", "[1,&quot;a&quot;,1] [2]"),
        ("{{ loop.index }}{{ var.constructor }}{{ var.list.map }}", ""),
    ]);
}

#[test]
fn operators_work_as_in_javascript() {
    check(&[
        ("{{ 'a' + var.name }} {{ 1 + 2 }} {{ '1' + 2 }} {{ 1 + 2 + 'x' }}", "aAda 3 12 3x"),
        ("{{ null + 1 }} {{ true + 1 }} {{ var.no + 1 }} {{ 'a' + var.no }}", "1 2 NaN aundefined"),
        ("{{ var.list + '' }} {{ var.map + '' }} {{ [] + [] }}|", "3,1,2 [object Object] |"),
        ("{{ 0.1 + 0.2 }}", "0.30000000000000004"),
        ("{{ '' == 0 }} {{ '0' == false }} {{ null == undefined }} {{ null == 0 }}", "true true true false"),
        (
            "{{ '1' === 1 }} {{ 1 === 1 }} {{ 'a' === 'a' }} {{ var.list === var.list }}",
            "false true true true",
        ),
        ("{{ '1' eq 1 }} {{ 1 neq 2 }} {{ 1 != '1' }} {{ 1 !== '1' }}", "true true false true"),
        ("{{ 2 lt 10 }} {{ '2' lt '10' }} {{ '2' < 10 }} {{ 'b' gt 'a' }}", "true false true true"),
        (
            "{{ 2 lte 2 }} {{ 3 gte 4 }} {{ 2 <= 1 }} {{ 2 >= 1 }} {{ 1 > var.no }}",
            "true false false true false",
        ),
        ("{{ null >= 0 }} {{ null > 0 }} {{ var.no >= 0 }}", "true false false"),
        ("{{ var.empty || 'x' }} {{ var.name && 'y' }} {{ 0 and 1 }} {{ '' or null or 'z' }}", "x y 0 z"),
        ("{{ !var.empty }} {{ !!var.none }} {{ !var.text0 }} {{ !0 }}", "true true false true"),
        ("{{ 1 + 1 == 2 and !(2 > 3) or false }}", "true"),
        ("{{ 1 < 2 == true }} {{ -var.minus }} {{ -'4' }}", "true 3 -4"),
        ("{{ NaN == NaN }} {{ (var.no + 1) == (var.no + 1) }}", "true false"),
    ]);
}

#[test]
fn applies_filters_from_left_to_right() {
    check(&[
        ("{{ var.name | upper }} {{ var.name | upper | lower }}", "ADA ada"),
        ("{{ var.no | default:'x' }} {{ var.empty | default:var.name }} {{ 0 | default:1 }}", "x Ada 0"),
        ("{{ var.empty | default_if_none:'x' }}| {{ null | default_if_none:'x' }}", "| x"),
        ("{{ var.no | default:'' | default:'a' + 'b' | upper }}", "AB"),
        ("{{ 'a' + var.name | upper }}", "AADA"),
        ("{{ (var.list | length) > 2 }} {{ var.name | length }}", "true 3"),
        ("{{ var.html | raw }}", "<b>\"x\" & 'y'</b>"),
        ("{{ var.html | raw | upper }}", "&lt;B&gt;&quot;X&quot; &amp; &#39;Y&#39;&lt;/B&gt;"),
        ("{{ var.map | json }}", "{&quot;b&quot;:1,&quot;a&quot;:&quot;x&quot;}"),
        ("{{ var.script | json | raw }}", "\"\\u003c/script>\\u003cscript>alert(1)\\u003c/script>\""),
    ]);
}

#[test]
fn dump_is_indented_and_escaped() {
    check(&[
        ("{{ dump(var.map) }}", "{\n  &quot;b&quot;: 1,\n  &quot;a&quot;: &quot;x&quot;\n}"),
        ("{{ dump(var.none) }} {{ dump({}) }} {{ dump('<') }}", "[] {} &quot;&lt;&quot;"),
        ("{{ dump(null) }} {{ dump(var.no) }}", "null undefined"),
    ]);
}

#[test]
fn if_renders_the_first_true_branch() {
    check(&[
        ("@if(var.t)yes@endif.", "yes."),
        ("@if(var.f)yes@endif.", "."),
        ("@if(var.f)a@elseif(var.t)b@else c@endif", "b"),
        ("@if(var.f)a@elseif(0)b@else c@endif", " c"),
        ("@if (var.list.length gt 2) many @else few @endif", " many "),
        ("@if(var.t)@if(var.f)a@else b@endif@endif", " b"),
        ("@if('')a@endif@if('0')b@endif@if([])c@endif@if(0)d@endif@if(null)e@endif", "bc"),
        ("@if(var.a == ')')x@else y@endif", " y"),
    ]);
}

#[test]
fn foreach_iterates_over_arrays_and_records() {
    check(&[
        ("@foreach(p in var.people){{ p.name }},@endforeach", "Ada,Bob,"),
        (
            "@foreach(n in var.list){{ loop.index }}{{ loop.first }}{{ loop.last }} @endforeach",
            "0truefalse 1falsefalse 2falsetrue ",
        ),
        (
            "@foreach(a in var.nested)@foreach(b in a){{ loop.index }}{{ b }} @endforeach{{ loop.index }};@endforeach",
            "01 12 0;03 1;",
        ),
        ("@foreach(v in var.map){{ v }}@endforeach", "1x"),
        (
            "@foreach(v in var.none)x@endforeach@foreach(v in var.no)x@endforeach@foreach(v in 'ab')x@endforeach",
            "",
        ),
        ("@foreach(v in [1, 'b'])[{{ v }}]@endforeach{{ v }}", "[1][b]"),
        ("@foreach(v in var.list)@if(!loop.first), @endif{{ v }}@endforeach", "3, 1, 2"),
        (
            "{{ loop }}@foreach(v in [7]){{ loop | json }}@endforeach",
            "{&quot;index&quot;:0,&quot;first&quot;:true,&quot;last&quot;:true,&quot;length&quot;:1}",
        ),
    ]);
}

#[test]
fn set_defines_names() {
    check(&[
        ("@set(x = 'a' + 1){{ x }}", "a1"),
        ("{{ x }}@set(x = 1){{ x }}@set(x = x + 1){{ x }}", "12"),
        ("@if(var.t)@set(x = 1)@else@set(x = 2)@endif{{ x }}", "1"),
        ("@set(n = 0)@foreach(v in var.list)@set(n = n + v)@endforeach{{ n }}", "6"),
        ("@foreach(v in [1])@set(v = 2){{ v }}@endforeach", "2"),
        ("@set(var = 1)", "page.html:1:6: \"var\" is reserved; choose another name"),
    ]);
}

#[test]
fn evaluates_v_if_only_if_the_server_knows_all_names() {
    check(&[
        ("<p v-if=\"var.t\">a</p>", "<p>a</p>"),
        ("<p v-if=\"var.f\">a</p>.", "."),
        ("<p class=\"c\" v-if=\"var.t\" id=x>a</p>", "<p class=\"c\" id=x>a</p>"),
        ("<p v-if=\"var.f\">a</p>\n<p v-else-if=\"var.t\">b</p> <p v-else>c</p>!", "<p>b</p>!"),
        ("<p v-if=\"var.f\">a</p> <!-- no --> <p v-else>c</p>", "<p>c</p>"),
        ("<p v-if=\"open\">a</p><p v-else>b</p>", "<p v-if=\"open\">a</p><p v-else>b</p>"),
        ("<p v-if=\"var.t && open\">{{ var.name }}</p>", "<p v-if=\"var.t && open\">Ada</p>"),
        (
            "<p v-if=\"open ? a : b\">x</p><p v-else-if=\"var.t\">y</p>",
            "<p v-if=\"open ? a : b\">x</p><p v-else-if=\"var.t\">y</p>",
        ),
        ("<p v-if=\"$store.on()\">x</p>", "<p v-if=\"$store.on()\">x</p>"),
        ("<p v-if=\"is_customer and customer.email\">x</p>", "<p>x</p>"),
        ("<p v-if='request.method === \"GET\"'>x</p>", "<p>x</p>"),
        ("<p v-if=\"var.one &lt; 2 &amp;&amp; var.t\">x</p>", "<p>x</p>"),
        ("@foreach(p in var.people)<p v-if=\"p.age > 18\">{{ p.name }}</p>@endforeach", "<p>Ada</p>"),
        ("@foreach(p in var.people)<b v-if=\"loop.last\">{{ p.name }}</b>@endforeach", "<b>Bob</b>"),
        ("<p v-if=\"p.age\">x</p>", "<p v-if=\"p.age\">x</p>"),
        ("@set(on = 1)<p v-if=\"on\">x</p>", "<p>x</p>"),
        ("<img v-if=\"var.t\" src=\"/a\"><br v-if=\"var.f\"/>", "<img src=\"/a\">"),
        ("<div v-if=\"var.t\"><div>a</div><DIV>b</DIV></div>c", "<div><div>a</div><DIV>b</DIV></div>c"),
        ("<div v-if=\"var.t\"><p v-if=\"var.f\">a</p><p v-else>b</p></div>", "<div><p>b</p></div>"),
        ("<div v-if=\"var.t\"><p v-if=\"open\">a</p></div>", "<div><p v-if=\"open\">a</p></div>"),
        ("<script v-if=\"var.t\">'</p>'</script>", "<script>'</p>'</script>"),
        ("<p v-if>x</p><p v-if=\"\">y</p><p v-else>z</p>", "<p v-if>x</p><p v-if=\"\">y</p><p v-else>z</p>"),
        ("<p v-if=\"true\">x</p>", "<p>x</p>"),
        ("<p v-if = \"var.f\">x</p><p v-else-if\n=\n'var.t'>y</p><p v-else >z</p>", "<p>y</p>"),
        ("<p v-if =\"var.t\" class = a>x</p>", "<p class = a>x</p>"),
        ("<p v-if class=\"var.t\">x</p>", "<p v-if class=\"var.t\">x</p>"),
        ("<div v-if=\"var.none_such\"/>SECRET</div>.", "."),
        ("<div v-if=\"var.t\"/>shown</div>.", "<div/>shown</div>."),
        ("<svg><g v-if=\"var.f\"/><g v-else/></svg>", "<svg><g/></svg>"),
        ("<p v-if=\"var.t\">x", "page.html:1:1: this <p> has no end tag"),
        ("<p v-if=\"var.f\">x</p><p v-else>y", "page.html:1:22: this <p> has no end tag"),
        ("<p v-if=\"var.t > \">x</p>", "page.html:1:18: expected a value, found the end"),
        (
            "<p v-if=\"var.t ? 1 : 2\">x</p>",
            "page.html:1:16: expected the condition to end, found \"?\"; ?: is not supported; use @if or the yesno filter",
        ),
        ("@if(var.t)<p v-if=\"var.t\">@endif</p>", "page.html:1:27: @endif is inside the <p v-if> of line 1"),
    ]);
}

#[test]
fn renders_a_page_of_the_workflow_guide() {
    let page = "<h2>Current weight: {{ var.current_weight }}</h2>\n<h2>Goal: {{ var.goal_weight }}</h2>\n<p v-if=\"var.on_track\">You've reached your goal!</p>\n";
    for (on_track, last) in [(true, "<p>You've reached your goal!</p>\n"), (false, "\n")] {
        let variables = json!({"current_weight": 182, "goal_weight": "Not set", "on_track": on_track});
        let html = render_with(&Files::default(), page, &variables).map(|rendered| rendered.html);
        let expected = format!("<h2>Current weight: 182</h2>\n<h2>Goal: Not set</h2>\n{last}");
        assert_eq!(html, Ok(expected));
    }
}

#[test]
fn prints_literal_text_unchanged() {
    check(&[
        ("[[ item.name }} ]] [[ {{ var.name }} ]]", "[[ item.name }} ]] [[ {{ var.name }} ]]"),
        ("@{{ var.name }} @{{", "{{ var.name }} {{"),
        ("@@if(x) @@foreach @@endif", "@if(x) @foreach @endif"),
        (
            "<style>@media (x) { a { b: c } }</style> a@b.c @unknown",
            "<style>@media (x) { a { b: c } }</style> a@b.c @unknown",
        ),
        ("\\{{ var.name }} {{#if}}", "page.html:1:19: expected a value, found \"#\""),
        ("\\\\{{ var.name }}", "\\\\Ada"),
        ("}} {{{{raw}}}}", "}} {}"),
        ("a\r\n  @if(1)\r\n  b\r\n  @endif\r\nc", "a\r\n  \r\n  b\r\n  \r\nc"),
        ("\u{feff}ö {{ 'ö' }}", "\u{feff}ö ö"),
    ]);
}

#[test]
fn leaves_out_comments_with_everything_in_them() {
    check(&[
        ("a{{-- b --}}c{{----}}d", "acd"),
        ("a{{--\n@if(\n{{ no | such }}\n</p>@foreach --}}\nb", "a\nb"),
        ("@if(0){{-- @else --}}a@else{{-- @endif --}}b@endif", "b"),
        ("<p v-if=\"var.f\">a</p> {{-- why --}} <!-- c --> {{-- <b> --}}<p v-else>b</p>", "<p>b</p>"),
        (
            "<a href={{-- x --}}{{ var.url }}{{-- y --}}>",
            "<a href=https&#58;&#47;&#47;example&#46;org&#47;a&#63;b&#61;c&#38;d&#61;1>",
        ),
        ("<script>'{{-- </script> --}}{{ '<' }}'</script>{{ '<' }}", "<script>'\\u003c'</script>&lt;"),
        ("<!-- {{-- --> --}}{{ '-->' }} -->", "<!-- &#45;&#45;&gt; -->"),
        ("{{ 'a {{-- b --}}' }}", "a {{-- b --}}"),
        ("@{{-- a --}} [[ {{-- b --}} ]]", "{{-- a --}} [[ {{-- b --}} ]]"),
        ("a\n @set(x = 1) {{-- b", "page.html:2:14: this comment has no end"),
        ("a {{--}} b", "page.html:1:3: this comment has no end"),
    ]);
}

#[test]
fn three_braces_print_unescaped() {
    check(&[
        ("{{{ var.html }}}{{{'<i>'}}}", "<b>\"x\" & 'y'</b><i>"),
        ("{{{ var.no | default:'<u>' }}} {{{ {a: {b: 1}}.a }}}", "<u> {\"b\":1}"),
        ("<script>a = {{{ var.quote }}}</script>", "<script>a = \";alert(1)//'</script>"),
        ("{{{ var.name }}", "page.html:1:14: expected \"}}}\" after the expression, found \"}\""),
        ("{{{ }}}", "page.html:1:1: there is nothing between {{ and }}"),
    ]);
}

#[test]
fn parts_of_the_request_have_names_of_their_own() {
    check(&[
        ("{{ query.q }}|{{ query.no }}|{{ queries.q[0] }}|{{ route_slug }}", "a b||a b|first/rest"),
        ("@if(query.q eq 'a b')y@endif{{ query | json | raw }}", "y{\"q\":\"a b\"}"),
        ("@set(query = 'own'){{ query }}@foreach(queries in [1]){{ queries }}@endforeach", "own1"),
        // A browser framework may have such a name, too.
        ("<p v-if=\"query\">", "<p v-if=\"query\">"),
    ]);
    let files = Files {
        components: vec![
            ("c", "[{{ query.q }}{{ query.z }}]"),
            ("d", "<p v-if=\"query.q\">{{ query.q }}</p>"),
        ],
        ..Files::default()
    };
    for (source, expected) in [
        ("@component('c')", "[a b]"),
        ("@component('c', {query: {z: 1}})", "[1]"),
        ("@set(r = {x: 1})@component('c', r)", "[a b]"),
        ("@set(r = {query: {z: 2}})@component('c', r)", "[2]"),
        ("@component('d')", "<p>a b</p>"),
    ] {
        let html = render_with(&files, source, &data()).map(|rendered| rendered.html);
        assert_eq!(html.ok().as_deref(), Some(expected), "{source}");
    }
}

#[test]
fn hides_handlebars_syntax_from_handlebars() {
    for text in [
        "@{{name}}",
        "@{{#each}}x",
        "@{{{a}}}",
        "@{{> part}}",
        "\\@{{a}}",
        "[[ {{{{x}}}} ]]",
        "@{{!-- c --}}",
        "@{{else}}",
    ] {
        assert_eq!(page(text), text.replace("@{{", "{{"), "{text}");
    }
    let value = json!({"v": "{{name}} {{{x}}} {{#if}} \\{{"});
    let rendered = render_with(&Files::default(), "{{ var.v }}", &value);
    assert_eq!(rendered.map(|r| r.html).ok().as_deref(), value["v"].as_str());
}

#[test]
fn reports_unpaired_directives_with_their_place() {
    check(&[
        ("a\n  @if(var.t) b", "page.html:2:3: this @if has no @endif"),
        ("@foreach(a in b)", "page.html:1:1: this @foreach has no @endforeach"),
        ("x @endif", "page.html:1:3: @endif without an @if; write @@endif to print it"),
        ("@if(1)\n@foreach(a in b)@endif", "page.html:2:17: @endif is inside the @foreach of line 2"),
        ("@else", "page.html:1:1: @else without an @if; write @@else to print it"),
        ("@if(1)@else@elseif(2)@endif", "page.html:1:12: @elseif cannot follow @else"),
        (
            "@foreach(a in b)@else@endforeach",
            "page.html:1:17: @else belongs to an @if, but is inside the @foreach of line 1",
        ),
        ("ö {{ var.name | uper }}", "page.html:1:17: there is no filter \"uper\" (did you mean \"upper\"?)"),
    ]);
    let error = render_with(&Files::default(), "a\n\tö {{ b | x }} c", &data());
    let excerpt = error.map_err(|error| error.excerpt());
    assert_eq!(excerpt, Err("  ö {{ b | x }} c".replacen("  ", " ", 1) + "\n          ^"));
}
