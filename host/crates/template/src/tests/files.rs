//! Components and layouts.

use super::*;

fn with_components(components: &[(&'static str, &'static str)], source: &str) -> String {
    let files = Files { components: components.to_vec(), ..Files::default() };
    html(render_with(&files, source, &data()))
}

fn with_layouts(layouts: &[(&'static str, &'static str)], source: &str) -> String {
    let files = Files { layouts: layouts.to_vec(), ..Files::default() };
    html(render_with(&files, source, &data()))
}

fn html(result: Result<Rendered, TemplateError>) -> String {
    match result {
        Ok(rendered) => rendered.html,
        Err(error) => error.to_string(),
    }
}

#[test]
fn components_see_their_arguments_and_the_scope() {
    let card = ("card", "<b>{{ title | default:'none' }}</b>{{ var.name }}{{ other }}");
    for (source, expected) in [
        ("@component(\"card\", {title: 'A' + 1})", "<b>A1</b>Ada"),
        ("@component('card')", "<b>none</b>Ada"),
        ("@set(other = 'x')@component('card', {title: other})", "<b>x</b>Ada"),
        ("@component('card', {title: '<'})", "<b>&lt;</b>Ada"),
        ("@set(p = {title: 't', other: '!'})@component('card', p)", "<b>t</b>Ada!"),
        ("@component('card', var.no)", "<b>none</b>Ada"),
        (
            "@foreach(p in var.people)@component('card', {title: p.name})@endforeach",
            "<b>Ada</b>Ada<b>Bob</b>Ada",
        ),
        ("@component('card', {other: [1], title})", "<b>none</b>Ada[1]"),
    ] {
        assert_eq!(with_components(&[card], source), expected, "{source}");
    }
}

#[test]
fn components_have_names_of_their_own() {
    let counter = ("counter", "@set(n = n + 1){{ n }}@foreach(x in [1])@set(m = x){{ m }}@endforeach");
    let source = "@set(n = 5)@component('counter', {n: n}) {{ n }}{{ m }}@component('counter', {n: 1})";
    assert_eq!(with_components(&[counter], source), "61 521");
    let conditional = ("c", "<p v-if=\"on\">{{ on }}</p><p v-if=\"off\">x</p>");
    let source = "@component('c', {on: 1})";
    assert_eq!(with_components(&[conditional], source), "<p>1</p><p v-if=\"off\">x</p>");
}

#[test]
fn the_server_knows_a_components_arguments_even_if_left_out() {
    let row = ("row", "<em v-if=\"!secret\">none</em><i v-if=\"open\">{{ secret }}</i>");
    for (source, expected) in [
        ("@component('row', {secret: 1})", "<i v-if=\"open\">1</i>"),
        ("@component('row', {other: 1})", "<em>none</em><i v-if=\"open\"></i>"),
        ("@component('row')", "<em>none</em><i v-if=\"open\"></i>"),
        // The names in a record are known only at run time.
        ("@component('row', var.no)", "<em>none</em>"),
        ("@set(r = {open: 1, secret: 2})@component('row', r)", "<i>2</i>"),
    ] {
        assert_eq!(with_components(&[row], source), expected, "{source}");
    }
    let list = ("list", "@foreach(p in var.people){{ p.name }}@endforeach<i v-if=\"p.open\"></i>");
    assert_eq!(with_components(&[list], "@component('list')"), "AdaBob<i v-if=\"p.open\"></i>");
    let odd = ("odd", "<i v-if=\"a ? b : c\"></i>");
    assert_eq!(with_components(&[odd], "@component('odd')"), "<i v-if=\"a ? b : c\"></i>");
    let error = with_components(&[odd], "@component('odd', var.map)");
    assert!(error.starts_with("components/odd.html:1:12: expected the condition to end"), "{error}");
}

#[test]
fn drops_a_byte_order_mark_at_the_beginning_of_a_file() {
    let card = ("card", "\u{feff}<b>{{ 1 | no_such }}</b>");
    let error = "components/card.html:1:11: there is no filter \"no_such\"";
    assert_eq!(with_components(&[card], "<p>@component('card')"), error);
    let card = ("card", "\u{feff}<b></b>\u{feff}");
    assert_eq!(with_components(&[card], "<p>@component('card')"), "<p><b></b>\u{feff}");
    let base = ("base", "\u{feff}<p>@yield('a')");
    assert_eq!(with_layouts(&[base], "\u{feff}@extends('base')@block('a')x@endblock"), "<p>x");
}

#[test]
fn escapes_components_for_the_place_of_their_use() {
    let value = ("value", "{{ v }}");
    let url = ("url", "/p/{{ v }}?");
    let open = ("open", "<script>'");
    for (source, expected) in [
        (
            "@component('value', {v: '<'})<p title=\"@component('value', {v: '\"'})\">",
            "&lt;<p title=\"&quot;\">",
        ),
        ("<script>'@component('value', {v: '<'})'</script>", "<script>'\\u003c'</script>"),
        ("<a href=\"@component('value', {v: var.evil})\">", "<a href=\"#blocked\">"),
        ("<a href=\"@component('url', {v: 1}){{ 'a:b' }}\">", "<a href=\"/p/1?a:b\">"),
        ("@component('open'){{ '<' }}'</script>", "<script>'\\u003c'</script>"),
        (
            "<a @component('value', {v: 1})>",
            "components/value.html:1:1: {{ }} is not allowed in a tag or attribute name",
        ),
        (
            "<a href=\"@component('value', {v: 'java'})@component('value', {v: 'script:x'})\">",
            "<a href=\"java#blocked\">",
        ),
    ] {
        assert_eq!(with_components(&[value, url, open], source), expected, "{source}");
    }
}

#[test]
fn limits_the_recursion_of_components() {
    let tree = (
        "tree",
        "<li>{{ node.name }}@if(node.children)<ul>@foreach(c in node.children)@component('tree', {node: c})@endforeach</ul>@endif</li>",
    );
    let source = "@component('tree', {node: {name: 'a', children: [{name: 'b'}, {name: 'c', children: [{name: 'd'}]}]}})";
    assert_eq!(
        with_components(&[tree], source),
        "<li>a<ul><li>b</li><li>c<ul><li>d</li></ul></li></ul></li>"
    );

    let countdown = ("countdown", "{{ n }}@if(n > 1)@component('countdown', {n: n + -1})@endif");
    let run = |n: usize| with_components(&[countdown], &format!("@component('countdown', {{n: {n}}})"));
    assert!(run(32).ends_with("4321"));
    assert_eq!(
        run(33),
        "components/countdown.html:1:18: components nest deeper than 32 (component_depth_max)"
    );

    let forever = ("forever", "x@component('forever')");
    assert!(with_components(&[forever], "@component('forever')").contains("component_depth_max"));
    let a = ("a", "@component('b')");
    let b = ("b", "@component('a')");
    assert!(with_components(&[a, b], "@component('a')").contains("component_depth_max"));
    let opening = ("opening", "@if(var.f)@component('opening')@endif<script>");
    let error = with_components(&[opening], "@component('opening')");
    assert!(
        error.ends_with("same kind of place; it begins in text and ends in a <script> element"),
        "{error}"
    );
    // The deepest nesting that is allowed fits on the stack of an ordinary thread.
    let deep = (
        "deep",
        "@if(1)@if(1)@if(1)@foreach(x in [1]){{ n }}@if(n > 1)@component('deep', {n: n + -1})@endif@endforeach@endif@endif@endif",
    );
    let result = with_components(&[deep], "@component('deep', {n: 32})");
    assert!(result.contains("nest deeper than 120"), "{result}");
}

#[test]
fn limits_nesting_across_files() {
    let chain = |count: usize| {
        let components: Vec<(&'static str, &'static str)> = (0..count)
            .map(|index| {
                let name: &str = Box::leak(format!("n{index}").into_boxed_str());
                let call = format!("@if(1)@if(1)@if(1)@component('n{}')@endif@endif@endif", index + 1);
                (name, &*Box::leak(call.into_boxed_str()))
            })
            .collect();
        let last: &str = Box::leak(format!("n{count}").into_boxed_str());
        let components: Vec<_> = components.into_iter().chain([(last, "x")]).collect();
        with_components(&components, "@component('n0')")
    };
    assert_eq!(chain(29), "x");
    assert!(chain(30).contains("blocks and components nest"), "{}", chain(30));
    assert!(chain(40).contains("nest"));
}

#[test]
fn pages_fill_the_blocks_of_their_layout() {
    let base =
        ("base", "<title>@block(\"title\")Site@endblock</title>@yield('content')@yield('foot', var.name)|");
    for (source, expected) in [
        ("@extends(\"base\")", "<title>Site</title>Ada|"),
        (
            "@extends('base')\n@block('title')My {{ var.name }}@endblock\n@block('content')<p>{{ '<' }}</p>@endblock <!-- c -->",
            "<title>My Ada</title><p>&lt;</p>Ada|",
        ),
        ("@block('foot')x@endblock@extends('base')", "<title>Site</title>x|"),
        (
            "@extends('base')@set(a = 1)@block('content')@set(b = 2){{ a }}{{ b }}@endblock@block('foot'){{ a }}{{ b }}@endblock",
            "<title>Site</title>1212|",
        ),
        ("\u{feff}  @extends('base')@block('title')@yield('no', 'd')@endblock", "<title>d</title>Ada|"),
        ("a@block('title')b@endblock@yield('title')@yield('x', '<')c", "ab&lt;c"),
    ] {
        assert_eq!(with_layouts(&[base], source), expected, "{source}");
    }
}

#[test]
fn layouts_extend_layouts() {
    let base =
        ("base", "[@block('a')base a@endblock|@block('b')base b@endblock|{{ title | default:'none' }}]");
    let mid = (
        "mid",
        "@extends('base')@block('a')mid(@yield('inner', 'i'))@endblock@block('b')mid b@endblock@set(title = title | default:'mid')",
    );
    for (source, expected) in [
        ("@extends('mid')", "[mid(i)|mid b|mid]"),
        ("@extends('mid')@block('inner')x@endblock", "[mid(x)|mid b|mid]"),
        ("@extends('mid')@block('b')page b@endblock@set(title = 'page')", "[mid(i)|page b|page]"),
        ("@extends('mid')@block('a')@block('inner')nested@endblock@endblock", "[nested|mid b|mid]"),
    ] {
        assert_eq!(with_layouts(&[base, mid], source), expected, "{source}");
    }
}

#[test]
fn layouts_see_names_that_their_page_sets() {
    let base = ("base", "<p v-if=\"wide\">{{ wide }}</p>@foreach(item in [1,2])@yield('row')@endforeach");
    let source = "@extends('base')@set(wide = 1)@block('row')[{{ item }}{{ loop.index }}]@endblock";
    assert_eq!(with_layouts(&[base], source), "<p>1</p>[][]");
}

#[test]
fn pages_see_names_that_their_layout_sets() {
    let base = ("base", "@set(wide = 1)@yield('a')");
    let mid = ("mid", "@extends('base')@set(deep = 1)@block('a')<i v-if=\"wide\"></i>@yield('b')@endblock");
    let source = "@extends('mid')@block('b')<p v-if=\"!wide\">x</p><p v-if=\"deep\">y</p><p v-if=\"open\">z</p>@endblock";
    assert_eq!(with_layouts(&[base, mid], source), "<i></i><p>y</p><p v-if=\"open\">z</p>");
}

#[test]
fn escapes_blocks_for_their_place_in_the_layout() {
    let base = ("base", "<p title=\"@yield('t')\"><script>'@yield('t')'</script>@yield('t')");
    let source = "@extends('base')@block('t'){{ '<' }}@endblock";
    assert_eq!(with_layouts(&[base], source), "<p title=\"&lt;\"><script>'\\u003c'</script>&lt;");
}

#[test]
fn mistakes_name_the_file_that_they_are_in() {
    let base = ("base", "ok\n @yield('x')");
    let bad = ("bad", "line\n  {{ a | b }}");
    let myself = ("myself", "@extends('myself')");
    let cycle = [("one", "@extends('two')"), ("two", "\n @extends('one')")];
    let deep = [
        ("l0", "@extends('l1')"),
        ("l1", "@extends('l2')"),
        ("l2", "@extends('l3')"),
        ("l3", "@extends('l4')"),
        ("l4", "@extends('l5')"),
        ("l5", "@extends('l6')"),
        ("l6", "@extends('l7')"),
        ("l7", "@extends('l8')"),
        ("l8", "@extends('l9')"),
    ];
    let layouts = [&[base, bad, myself][..], &cycle, &deep].concat();
    for (source, expected) in [
        ("@extends('bas')", "page.html:1:10: there is no layout \"bas\" (did you mean \"base\"?)"),
        ("x\n@extends('bad')", "layouts/bad.html:2:10: there is no filter \"b\""),
        (
            "@extends('base')\n text",
            "page.html:2:2: a page that extends a layout prints only what is in its blocks; put this into a @block",
        ),
        ("@extends('base'){{ 1 }}", "page.html:1:17: a page that extends a layout"),
        (
            "@extends('base')@block('x')@yield('x')@endblock",
            "page.html:1:35: the block \"x\" contains itself",
        ),
        (
            "@extends('base')@block('x')@endblock@block('x')@endblock",
            "page.html:1:44: the block \"x\" is defined twice",
        ),
        (
            "@extends('myself')",
            "layouts/myself.html:1:10: this file extends itself: layouts/myself.html → layouts/myself.html",
        ),
        ("@extends('page')", "page.html:1:10: this file extends itself: page.html → page.html"),
        (
            "@extends('one')",
            "layouts/two.html:2:11: this file extends itself: layouts/one.html → layouts/two.html → layouts/one.html",
        ),
        ("@extends('l0')", "layouts/l7.html:1:10: more than 8 layouts extend one another"),
        ("@extends('scripted')", "page.html:1:10: the page has a script"),
        ("@extends('base')@extends('base')", "page.html:1:17: a page can have only one @extends"),
        ("@if(1)@extends('base')@endif", "page.html:1:7: @extends is not allowed inside the @if of line 1"),
        (
            "@extends('../base')",
            "page.html:1:10: \"../base\" is not a valid name; write one like \"shop/card\"",
        ),
        ("@extends('')", "page.html:1:10: \"\" is not a valid name"),
    ] {
        let error = with_layouts(&layouts, source);
        assert!(error.starts_with(expected), "{source}: {error}");
    }
    let card = ("card", "@block('x')@endblock");
    let sub = ("sub/base", "@extends('x')");
    for (source, expected) in [
        ("@component('crad')", "page.html:1:12: there is no component \"crad\" (did you mean \"card\"?)"),
        ("@component('card')", "components/card.html:1:8: a component has no blocks"),
        ("@component('sub/base')", "components/sub/base.html:1:10: a component cannot extend a layout"),
        ("@component('card', {var: 1})", "page.html:1:1: \"var\" is reserved; choose another name"),
        ("@component('/etc/passwd')", "page.html:1:12: \"/etc/passwd\" is not a valid name"),
    ] {
        let error = with_components(&[card, sub], source);
        assert!(error.starts_with(expected), "{source}: {error}");
    }
}

#[test]
fn limits_what_components_and_blocks_multiply() {
    // Each component uses the next one twice, in two contexts.
    let names = ["c0", "c1", "c2", "c3", "c4", "c5", "c6", "c7", "c8", "c9"];
    let sources: Vec<String> = (1..=names.len())
        .map(|next| format!("@component('c{next}')<p title=\"@component('c{next}')\">"))
        .collect();
    let components: Vec<(&'static str, &'static str)> = names
        .iter()
        .zip(sources)
        .map(|(name, source)| (*name, &*Box::leak(source.into_boxed_str())))
        .chain([("c10", "x")])
        .collect();
    let result = with_components(&components, "@component('c0')");
    assert!(result.len() > 1000, "{result}");
    // Blocks that yield the next one twice: 2^16 copies are too many parts.
    let mut page = String::from("@extends('base')");
    for index in 0..24 {
        page.push_str(&format!("@block('b{index}')@yield('b{0}')@yield('b{0}')@endblock", index + 1));
    }
    let error = with_layouts(&[("base", "@yield('b0')")], &page);
    assert!(error.contains("nodes_max"), "{error}");
}

#[test]
fn shares_templates_between_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<Template>();
}
