//! Finds misspelled directives, and blocks that no layout prints. Neither is an error of the
//! template: the former is printed as text, and the latter is not printed at all.

use std::collections::HashSet;

use sluice_page::diagnostic::{Diagnostic, Rule};
use sluice_template::{self as template, Includes as _, Outline};
use sluice_text::source::Source;
use sluice_text::suggest;

use super::MISTAKES_MAX;
use super::context::Brand;
use super::forms::is_within;

/// Directives of other template languages, and what they are called here.
const ELSEWHERE: [(&str, &str); 9] = [
    ("each", "foreach"),
    ("elif", "elseif"),
    ("endeach", "endforeach"),
    ("endfor", "endforeach"),
    ("endsection", "endblock"),
    ("for", "foreach"),
    ("include", "component"),
    ("section", "block"),
    ("unless", "if"),
];
/// At-rules of style sheets, which look like misspelled directives.
const OF_STYLES: [&str; 6] = ["container", "import", "layer", "media", "page", "supports"];
/// Tags of other template languages, `{% if … %}`, and what to write instead.
const TAGS: [(&str, &str); 22] = [
    ("assign", "`@set(name = value)`"),
    ("block", "`@block(\"name\") … @endblock`"),
    ("comment", "`{{-- … --}}`"),
    ("elif", "`@elseif(…)`"),
    ("else", "`@else`"),
    ("elseif", "`@elseif(…)`"),
    ("elsif", "`@elseif(…)`"),
    ("endblock", "`@endblock`"),
    ("endcomment", "`--}}`"),
    ("endfor", "`@endforeach`"),
    ("endif", "`@endif`"),
    ("endraw", "nothing: `@{{` prints `{{`"),
    ("endset", "`@set(name = value)`"),
    ("endunless", "`@endif`"),
    ("extends", "`@extends(\"layout\")`"),
    ("for", "`@foreach(item in list) … @endforeach`"),
    ("if", "`@if(…) … @endif`"),
    ("include", "`@component(\"name\", { … })`"),
    ("raw", "nothing: `@{{` prints `{{`"),
    ("render", "`@component(\"name\", { … })`"),
    ("set", "`@set(name = value)`"),
    ("unless", "`@if(!…) … @endif`"),
];
/// How many `{%` of a file are looked at.
const TAGS_MAX: usize = 500;
/// How many layouts within layouts are followed.
const DEPTH_MAX: usize = 32;

/// Finds misspelled directives, `@yeild("content")`, and tags of other template languages,
/// `{% if … %}`.
pub(crate) fn unknown_directives(source: &Source) -> Vec<Diagnostic> {
    let text = source.text.as_str();
    let comments = template::comments(text, &[]);
    let is_shown = |at: &usize| {
        let before = comments.partition_point(|comment| comment.start <= *at);
        before.checked_sub(1).and_then(|last| comments.get(last)).is_none_or(|comment| comment.end <= *at)
    };
    let signs = text.match_indices('@').map(|(at, _)| at).filter(is_shown);
    let directives = signs.filter_map(|at| unknown_directive(source, text, at)).take(MISTAKES_MAX);
    let tags = text.match_indices("{%").take(TAGS_MAX).map(|(at, _)| at).filter(is_shown);
    directives.chain(tags.filter_map(|at| foreign_tag(source, text, at)).take(MISTAKES_MAX)).collect()
}

fn foreign_tag(source: &Source, text: &str, at: usize) -> Option<Diagnostic> {
    let inside = text.get(at + 2..)?.trim_start_matches(['-', '~', '+', ' ', '\t']);
    let end = inside.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(inside.len());
    let (word, rest) = inside.split_at(end);
    let (word, instead) = TAGS.iter().find(|(name, _)| *name == word)?;
    let close = rest.find("%}").filter(|close| rest.get(..*close).is_some_and(|tag| !tag.contains('\n')))?;
    // Scripts of the browser may have templates of their own.
    if is_within(text, at, "<script", "</script") || is_within(text, at, "<style", "</style") {
        return None;
    }
    let length = text.len() - at - (rest.len() - close - 2);
    let message = format!("templates have no tag `{{% {word} %}}`, so it is printed as text");
    let found = Diagnostic::at(Rule::UnknownDirective, source, at..at + length, message);
    Some(found.help(format!("write {instead}")))
}

fn unknown_directive(source: &Source, text: &str, at: usize) -> Option<Diagnostic> {
    let before = text.get(..at)?;
    // `@@if` prints `@if`, and `ann@if.example` is an email address.
    if before.ends_with(|c: char| c == '@' || c.is_alphanumeric() || matches!(c, '.' | '_' | '-')) {
        return None;
    }
    let rest = text.get(at + 1..)?;
    let end = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
    let (name, after) = rest.split_at(end);
    let is_known = template::DIRECTIVES.iter().any(|(known, _)| *known == name);
    if name.len() < 2 || is_known || OF_STYLES.contains(&name) {
        return None;
    }
    let has_arguments = after.trim_start_matches(' ').starts_with('(');
    let alike =
        template::DIRECTIVES.iter().filter(|(_, takes)| *takes == has_arguments).map(|(known, _)| *known);
    let of_others = ELSEWHERE.iter().find(|(other, _)| *other == name).map(|(_, ours)| *ours);
    let of_others = of_others.filter(|ours| template::DIRECTIVES.contains(&(ours, has_arguments)));
    let near = of_others.or_else(|| suggest::nearest(name, alike))?;
    let message = format!("there is no directive `@{name}`, so it is printed as text");
    let found = Diagnostic::at(Rule::UnknownDirective, source, at..at + 1 + end, message);
    Some(found.help(format!("did you mean `@{near}`? Write `@@{name}` if you want the text `@{name}`")))
}

/// Finds blocks that no layout prints: `@block("contents")` in a page whose layout has
/// `@yield("content")` or `@block("content")`.
pub(crate) fn unshown_blocks(source: &Source, shown: &Outline, brand: &Brand<'_>) -> Vec<Diagnostic> {
    let mut places: Vec<String> = Vec::new();
    let mut next = shown.extends.clone();
    for _ in 0..DEPTH_MAX {
        let Some(name) = next.take() else { break };
        let Some((_, text)) = brand.folder.layout(&name) else { return Vec::new() };
        let layout = template::outline(&text);
        places.extend(layout.yields);
        places.extend(layout.blocks.into_iter().map(|(name, _)| name));
        next = layout.extends;
    }
    // The page has no layout, or its layout does not parse.
    if places.is_empty() {
        return Vec::new();
    }
    let printed: HashSet<&String> = places.iter().collect();
    let unshown = shown.blocks.iter().filter(|(name, _)| !printed.contains(name));
    let found = unshown.map(|(name, at)| {
        let near = suggest::nearest(name, places.iter().map(String::as_str));
        let help = match near {
            Some(near) => format!("did you mean \"{near}\"?"),
            None => format!("the layout has places for {}", listed(&places)),
        };
        let message = format!("no layout of this page prints the block \"{name}\"");
        Diagnostic::at(Rule::UnshownBlock, source, *at..*at, message).help(help)
    });
    found.take(MISTAKES_MAX).collect()
}

/// `"a", "b"`
fn listed(names: &[String]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("\"{name}\"")).collect();
    quoted.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<String> {
        let source = Source { file: "pages/x.html".into(), text: text.into() };
        let found = unknown_directives(&source);
        found
            .iter()
            .map(|one| format!("{}:{} {}", one.line, one.column, one.help.as_deref().unwrap_or("")))
            .collect()
    }

    #[test]
    fn finds_misspelled_directives() {
        assert!(found("<p>\nü @yeild(\"a\")")[0].starts_with("2:3 did you mean `@yield`?"));
        assert!(found("@for(x in var.l) a @endfor")[0].contains("@foreach"));
        assert_eq!(found("@for(x in var.l) a @endfor").len(), 2);
        assert!(found("@endfi")[0].contains("@endif"));
    }

    #[test]
    fn finds_tags_of_other_template_languages() {
        assert_eq!(
            found("<p>{% if var.a %}x{%- endif -%}"),
            ["1:4 write `@if(…) … @endif`", "1:19 write `@endif`"]
        );
        for text in ["{% custom %}", "width: {%", "<script>let t = '{% if a %}';</script>", "{% if a"] {
            assert_eq!(found(text), [""; 0], "{text}");
        }
    }

    #[test]
    fn ignores_at_signs_that_begin_no_directive() {
        for text in [
            "ann@iff.example",
            "@@iff(a)",
            "<style>@media (min-width: 1px) {} @import url(a); @font-face {}</style>",
            "@if(var.a)@elseif(var.b)@else@endif",
            "@",
            "follow @anna and @bert (friends)",
            "<script>class A { @decorated() {} }</script>",
        ] {
            assert_eq!(found(text), [""; 0], "{text}");
        }
    }
}
