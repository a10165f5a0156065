//! Tests of the limits, each just under and just over it, and of the compiler with random text.

use proptest::prelude::*;

use super::*;

fn limited(source: &str, limits: TemplateLimits) -> String {
    let result = Template::compile_with("page.html", source, &Files::default(), limits)
        .and_then(|template| render_template(&template, &data()));
    match result {
        Ok(rendered) => rendered.html,
        Err(error) => error.to_string(),
    }
}

#[test]
fn rejects_output_over_the_limit() {
    let limits = |output_bytes_max| TemplateLimits { output_bytes_max, ..TemplateLimits::default() };
    assert_eq!(limited("ab{{ 'c' }}", limits(3)), "abc");
    let error = "page.html:1:3: the page is larger than 2 bytes (output_bytes_max)";
    assert_eq!(limited("ab{{ 'c' }}", limits(2)), error);
    let endless = "@set(a = [1,2,3,4,5,6,7,8,9,10])@foreach(b in a)@foreach(c in a)@foreach(d in a)@foreach(e in a)@foreach(f in a)@foreach(g in a)@foreach(h in a)0123456789@endforeach@endforeach@endforeach@endforeach@endforeach@endforeach@endforeach";
    assert!(limited(endless, TemplateLimits::default()).contains("output_bytes_max"));
}

#[test]
fn stops_loops_without_output() {
    let nested = format!(
        "@set(a = [1,2,3,4,5,6,7,8,9,10]){}{}",
        "@foreach(b in a)".repeat(40),
        "@endforeach".repeat(40)
    );
    assert!(limited(&nested, TemplateLimits::default()).contains("template_fuel"));
    let source = "@foreach(a in var.list)@endforeach";
    let used = render_with(&Files::default(), source, &data()).map_or(0, |rendered| rendered.fuel);
    let limits = |fuel_max| TemplateLimits { fuel_max, ..TemplateLimits::default() };
    assert_eq!(limited(source, limits(used)), "");
    let error = format!("more than {} units of fuel (template_fuel)", used - 1);
    assert!(limited(source, limits(used - 1)).contains(&error));
}

#[test]
fn stops_values_that_grow() {
    let doubling = "@set(s = 'x')@set(a = [1,2,3,4,5,6,7,8,9,10])@foreach(b in a)@foreach(c in a)@set(s = s + s)@endforeach@endforeach{{ s.length }}";
    assert!(limited(doubling, TemplateLimits::default()).contains("made_bytes_max"));
    let nesting = "@set(s = [])@foreach(b in [1,2,3,4,5,6,7,8,9,10])@foreach(c in [1,2,3,4,5,6,7,8,9,10])@set(s = [s, s])@endforeach@endforeach";
    assert!(limited(nesting, TemplateLimits::default()).contains("nest at most 32 deep"));
    let wide = "@set(s = [1])@foreach(b in [1,2,3,4,5,6,7,8,9,10])@foreach(c in [1,2,3])@set(s = [s, s])@endforeach@endforeach{{ s }}";
    assert!(limited(wide, TemplateLimits::default()).contains("template_fuel"));
}

#[test]
fn rejects_nesting_over_the_limit() {
    let nested = |depth: usize| format!("{}x{}", "@if(1)".repeat(depth), "@endif".repeat(depth));
    assert_eq!(limited(&nested(48), TemplateLimits::default()), "x");
    assert!(limited(&nested(49), TemplateLimits::default()).ends_with("directives nest at most 48 deep"));
    let elements = format!("{}{}", "<p v-if=\"var.t\">".repeat(60), "</p>".repeat(60));
    assert!(limited(&elements, TemplateLimits::default()).contains("nest at most 48 deep"));
    let chain = format!("@if(0)a{}@endif", "@elseif(0)b".repeat(5000));
    assert_eq!(limited(&chain, TemplateLimits::default()), "");
}

#[test]
fn rejects_more_blocks_than_a_file_can_have() {
    let limit = "a file can have at most 1000 @block and @yield directives";
    let blocks = |count| (0..count).map(|n| format!("@block(\"b{n}\")x@endblock")).collect::<String>();
    assert_eq!(limited(&blocks(1_000), TemplateLimits::default()), "x".repeat(1_000));
    for count in [1_001, 80_000] {
        assert!(limited(&blocks(count), TemplateLimits::default()).ends_with(limit), "{count}");
        let yields = "@yield(\"a\")".repeat(count);
        assert!(limited(&yields, TemplateLimits::default()).ends_with(limit), "{count}");
    }
}

#[test]
fn rejects_sources_and_nodes_over_the_limit() {
    let limits = TemplateLimits { source_bytes_max: 3, ..TemplateLimits::default() };
    assert_eq!(limited("abc", limits.clone()), "abc");
    assert!(limited("abcd", limits).ends_with("larger than 3 bytes"));
    let limits = TemplateLimits { nodes_max: 3, ..TemplateLimits::default() };
    assert_eq!(limited("a{{ 1 }}", limits.clone()), "a1");
    assert!(limited("a{{ 1 }}b", limits).contains("nodes_max"));
    // Loops inside a tag are lowered more than once, which must not multiply.
    let tag = format!("<p {} a=\"1\"{}>", "@foreach(a in b)".repeat(40), "@endforeach".repeat(40));
    let result = limited(&tag, TemplateLimits::default());
    assert!(result.contains("nodes_max") || result.starts_with("<p "), "{result}");
}

fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("{{ var.name }}".to_owned()),
        Just("{{ var.list | json }}".to_owned()),
        Just("@if(var.t)".to_owned()),
        Just("@elseif(var.f)".to_owned()),
        Just("@else".to_owned()),
        Just("@endif".to_owned()),
        Just("@foreach(a in var.list)".to_owned()),
        Just("@endforeach".to_owned()),
        Just("@set(b = a)".to_owned()),
        Just("<p v-if=\"var.t\">".to_owned()),
        Just("<p v-else>".to_owned()),
        Just("</p>".to_owned()),
        Just("<script>".to_owned()),
        Just("</script>".to_owned()),
        Just("<a href=\"".to_owned()),
        Just("<a title=".to_owned()),
        Just("\">".to_owned()),
        Just("<!--".to_owned()),
        Just("-->".to_owned()),
        Just("[[".to_owned()),
        Just("]]".to_owned()),
        Just("@{{".to_owned()),
        Just("{{".to_owned()),
        Just("}}".to_owned()),
        Just("@component(\"card\", {a: var.name})".to_owned()),
        Just("@extends(\"base\")".to_owned()),
        Just("@block(\"x\")".to_owned()),
        Just("@endblock".to_owned()),
        Just("@yield(\"x\")".to_owned()),
        "[ -~é\u{1f600}\n]{0,6}",
        "[(){}|:.+'\"<>=&@a1 ]{0,5}",
    ]
}

/// Checks that the page renders, or that the error names an existing place.
fn renders_or_reports_a_valid_position(source: &str, include: &str) {
    let own = |text: &str| -> &'static str { Box::leak(text.to_owned().into_boxed_str()) };
    let include = own(include);
    let files = Files { layouts: vec![("base", include)], components: vec![("card", include)] };
    let Err(error) = render_with(&files, source, &data()) else { return };
    let text = if error.file == "page.html" { source } else { include };
    let line = text.split('\n').nth(error.line - 1);
    let columns = line.map(|line| line.chars().count() + 1);
    assert!(error.column >= 1 && Some(error.column) <= columns, "{error}");
    assert!(!error.message.is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn handles_any_text(source in "\\PC{0,80}") {
        renders_or_reports_a_valid_position(&source, "");
    }

    #[test]
    fn handles_any_mix_of_pieces(pieces in prop::collection::vec(piece(), 0..14), include in prop::collection::vec(piece(), 0..6)) {
        renders_or_reports_a_valid_position(&pieces.concat(), &include.concat());
    }

    #[test]
    fn handles_any_expression(pieces in prop::collection::vec(piece(), 0..6), inner in "[a-z0-9 .|:+!<>=&'\"()\\[\\]{},?-]{0,24}") {
        renders_or_reports_a_valid_position(&format!("{{{{ {inner} }}}}{}", pieces.concat()), "");
    }
}
