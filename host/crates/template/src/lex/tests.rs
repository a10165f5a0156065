use super::*;

/// The literal text of a file, with a mark for each other token.
fn outline(source: &str) -> Result<String, String> {
    let lexed = lex(0, source).map_err(|p| format!("{}: {}", p.pos.at, p.mistake))?;
    Ok(lexed
        .tokens
        .iter()
        .map(|token| match &token.kind {
            Kind::Text { end } => source.get(token.at..*end).unwrap_or("?").to_owned(),
            Kind::Output(_) => "¤".to_owned(),
            Kind::Directive(_) => "§".to_owned(),
            Kind::ElementOpen(id) => format!("«{id}:"),
            Kind::ElementClose(id) => format!(":{id}»"),
            Kind::Condition { element, .. } => format!("‹{element}›"),
        })
        .collect())
}

#[test]
fn tells_directives_from_text() {
    for (source, expected) in [
        ("@media (x) { a@b.c @import }", "@media (x) { a@b.c @import }"),
        ("@if(a)yes@else no@endif", "§yes§ no§"),
        ("@if (a == (1)) x @endif.", "§ x §."),
        ("me@else.org, me@if.com", "me@else.org, me@if.com"),
        ("<a @set=\"x\" @if=1>", "<a @set=\"x\" @if=1>"),
        ("@@if(a) @@media @@endif", "@if(a) @@media @endif"),
        ("@{{ a }} b @{{", "{{ a }} b {{"),
        ("@iffy @elseifs @end", "@iffy @elseifs @end"),
        ("[[ {{ a }} @if ]] {{ b }}", "[[ {{ a }} @if ]] ¤"),
        ("[[ open {{ b }}", "[[ open ¤"),
        ("<script>[[{{ a }}, 1]]</script>", "<script>[[¤, 1]]</script>"),
        ("{{ \"}}\" }} {{ {a: {b: 1}} }}", "¤ ¤"),
        ("{ a } }} { {", "{ a } }} { {"),
        ("{{a}}{{b}}", "¤¤"),
        ("{{{ a }}} {{{ {b: {c: 1}} }}}", "¤ ¤"),
        ("a{{-- {{ b }} @if( <p v-if=\"1\"> [[ ]]\n' --}}c", "ac"),
        ("{{----}}{{-- a {{-- b --}}c --}}", "c --}}"),
        ("@{{-- a --}} [[ {{-- a --}} ]]", "{{-- a --}} [[ {{-- a --}} ]]"),
        ("<p {{-- a --}}title={{-- b --}}{{ c }}>", "<p title=¤>"),
        ("<script>{{-- </script> --}}{{ a }}</script>", "<script>¤</script>"),
    ] {
        assert_eq!(outline(source).as_deref(), Ok(expected), "{source}");
    }
}

#[test]
fn reports_mistakes_at_their_offsets() {
    for (source, expected) in [
        ("ab {{ }}", "3: there is nothing"),
        ("{{{ a }}", "6: expected \"}}}\" after the expression"),
        ("{{{ }}}", "0: there is nothing"),
        ("x {{-- a -- }}", "2: this comment has no end"),
        ("{{--}}", "0: this comment has no end"),
        ("x {{ a", "2: this {{ has no }}"),
        ("{{ a } }", "0: this {{ has no }}"),
        ("{{ a < b> {{ c }}", "0: this {{ has no }}"),
        ("{{ a b }}", "5: expected \"}}\" after the expression, found \"b\""),
        ("x @if a", "2: @if takes its arguments in parentheses"),
        ("@if(a", "5: expected \")\" after the arguments of @if"),
        ("@if(a) @else if (b) @endif", "7: write @elseif(…) instead of \"else if\""),
        ("@foreach(a of b)", "11: expected \"in\" after the name"),
        ("@foreach(in b)", "12: expected \"in\" after the name"),
        ("@set(a b)", "7: expected \"=\" after the name"),
        ("@component(card)", "11: expected the component's name in quotes"),
    ] {
        let error = outline(source).err().unwrap_or_default();
        assert!(error.starts_with(expected), "{source}: {error}");
    }
}

#[test]
fn finds_conditional_elements_and_their_ends() {
    for (source, expected) in [
        ("<p v-if=\"a\">x</p>y", "«0:<p‹0›>x</p>:0»y"),
        ("<P V-IF='a'><p></p></P>", "«0:<P‹0›><p></p></P>:0»"),
        ("<img src=x v-if=a>y", "«0:<img src=x‹0›>:0»y"),
        ("<b v-if=\"a\" /> <i v-else>", "«0:<b‹0› /> «1:<i‹1›>"),
        ("<div v-if=\"a\"/>x</div>y", "«0:<div‹0›/>x</div>:0»y"),
        ("<br v-if=\"a\"/>x", "«0:<br‹0›/>:0»x"),
        ("<div v-if=\"a\"/><div/>x</div></div>y", "«0:<div‹0›/><div/>x</div></div>:0»y"),
        ("<svg><g v-if=\"a\" /><g v-else><g/></g></svg>", "<svg>«0:<g‹0› />:0»«1:<g‹1›><g/></g>:1»</svg>"),
        ("<path v-if=\"a\"/>x", "«0:<path‹0›/>:0»x"),
        ("<p v-if = \"a\">x</p>", "«0:<p‹0›>x</p>:0»"),
        ("<p v-if\n=a class = b>x</p>", "«0:<p‹0› class = b>x</p>:0»"),
        ("<p v-if=\"a\"></p><p v-else class>x</p>", "«0:<p‹0›></p>:0»«1:<p‹1› class>x</p>:1»"),
        ("<p v-if=\"a\"><!-- </p> --></p>", "«0:<p‹0›><!-- </p> --></p>:0»"),
        ("<div v-if='a'><script>'</div>'</script></div>", "«0:<div‹0›><script>'</div>'</script></div>:0»"),
        ("<p v-if=\"a > b && '{{'\" class=x>", "«0:<p‹0› class=x>"),
        ("<p class=x v-if=\"a\"id=y>", "«0:<p class=x ‹0›id=y>"),
        (
            "<!-- <p v-if=a> --><textarea><p v-if=a></textarea>",
            "<!-- <p v-if=a> --><textarea><p v-if=a></textarea>",
        ),
        ("<a v-if=\"x\" href=\"{{ u }}\"></a>", "«0:<a‹0› href=\"¤\"></a>:0»"),
        ("@if(a)<div v-if='b'>@else<div>@endif</div>", "§«0:<div‹0›>§<div>§</div>"),
    ] {
        assert_eq!(outline(source).as_deref(), Ok(expected), "{source}");
    }
}

#[test]
fn links_chains_across_space_and_comments_only() {
    let next = |source: &str| {
        let lexed = lex(0, source).ok();
        lexed.and_then(|lexed| lexed.elements.first().map(|element| element.next))
    };
    assert_eq!(next("<p v-if=a></p> <!-- or --> <p v-else></p>"), Some(Some(1)));
    assert_eq!(next("<p v-if=a></p> or <p v-else></p>"), Some(None));
    assert_eq!(next("<p v-if=a></p><br><p v-else></p>"), Some(None));
    assert_eq!(next("<p v-else></p><p v-else></p>"), Some(None));
}
