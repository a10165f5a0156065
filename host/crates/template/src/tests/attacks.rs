//! Pages that try to hold their thread. Each ends with the error of a limit.

use std::fmt::Write as _;

use super::*;
use crate::Quota;
use crate::limits::{FUEL_DEFAULT, SHORT_FUEL};

/// The size of the long texts: about as much as a script may pass to a template by default.
const LONG: usize = 900_000;

/// Long texts, and lists with 12,000 elements.
fn large_data() -> Value {
    let list: Vec<usize> = (0..12_000).collect();
    let records: Vec<Value> = list.iter().map(|n| json!({"key": format!("name {n}"), "n": n})).collect();
    let fields: Map<String, Value> = list.iter().map(|n| (format!("field {n}"), json!(n))).collect();
    json!({
        "list": list, "records": records, "fields": fields, "hundred": (0..100).collect::<Vec<_>>(),
        "long": "é".repeat(LONG / 2), "other": format!("{}xx", "é".repeat(LONG / 2 - 1)),
        "digits": "1".repeat(LONG), "zeros": "0".repeat(LONG), "spaces": " ".repeat(LONG), "hex": format!("0x{}", "1".repeat(LONG)),
        "quotes": "\"".repeat(LONG), "tags": "<a>".repeat(LONG / 3), "colons": "a:".repeat(LONG / 2), "pattern": "x".repeat(LONG),
        "fraction": format!("2024-01-01T00:00:00.{}", "1".repeat(LONG)),
    })
}

fn files() -> Files {
    let calls = |next: usize| -> &'static str {
        Box::leak(format!("@component(\"c{next}\")").repeat(10).into_boxed_str())
    };
    let name = |level: usize| -> &'static str { Box::leak(format!("c{level}").into_boxed_str()) };
    let mut components: Vec<_> = (0..12).map(|level| (name(level), calls(level + 1))).collect();
    components.push(("c12", ""));
    components.push(("read", "{{ length }}"));
    Files { components, ..Files::default() }
}

/// Checks that the page ends with an error that names one of the limits.
fn assert_stopped(source: &str, data: &Value) {
    let shown: String = source.chars().take(200).collect();
    match render_with(&files(), source, data) {
        Ok(rendered) => panic!("{shown}: rendered with {} units", rendered.fuel),
        Err(error) => assert!(
            error.message.contains("_max)") || error.message.contains("(template_fuel)"),
            "{shown}: {error}"
        ),
    }
}

#[test]
fn stops_loops_over_long_texts() {
    let data = large_data();
    for body in [
        "{{ var.long }}",
        "@if(var.long == var.other)@endif",
        "@if(var.long < var.other)@endif",
        "@if(var.digits == 1)@endif",
        "@if(var.hex > 1)@endif",
        "@if(-var.spaces)@endif",
        "@if([var.long] < var.other)@endif",
        "@if([var.long] == var.other)@endif",
        "@set(x = var.long + 'a')",
        "@set(x = var[var.long])",
        "@set(x = var.list[var.zeros])",
        "@set(x = var.long[5])",
        "@set(x = var.long.length)",
        "@component('read', var.long)",
        "<a href=\"{{ var.colons }}\"></a>",
        "<a href=\"{{ var.long }}\"></a>",
        "<a title={{ var.quotes }}></a>",
        "<script>'{{ var.quotes }}'</script>",
        "<script>{{ var.quotes | json }}</script>",
        "<style>a{b:{{ var.quotes }};}</style>",
        "<!-- {{ var.quotes }} -->",
    ] {
        assert_stopped(&format!("@foreach(i in var.list){body}@endforeach"), &data);
    }
}

#[test]
fn stops_loops_over_every_filter_of_long_texts() {
    let data = large_data();
    for filtered in [
        "var.long | capitalize",
        "var.long | json",
        "var.long | length",
        "var.long | lower",
        "var.quotes | nl2br",
        "var.long | replace:'a':'b'",
        "var.quotes | replace:'\"':var.long",
        "var.long | reverse",
        "var.long | slice:0:1",
        "var.tags | strip_tags",
        "var.long | title",
        "var.long | trim",
        "var.long | truncate:1",
        "var.long | truncatewords:1",
        "var.long | upper",
        "var.long | url_encode",
        "var.digits | abs",
        "var.spaces | abs",
        "var.digits | floor",
        "var.digits | ceil",
        "var.digits | round",
        "1 | round:var.digits",
        "var.digits | number_format",
        "var.digits | currency",
        "1 | currency:var.long",
        "var.digits | date",
        "var.digits | timeago",
        "var.fraction | timeago",
        "var.fraction | date",
        "var.digits | date_add:1",
        "'2024-01-01' | date_add:var.digits",
        "0 | date:var.pattern",
        "[var.long] | join",
        "[1,2] | join:var.long",
        "[var.long, var.other] | sort",
        "[var.long] | unique",
        "var.records | sort:var.long",
        "var.records | unique:var.long",
        "var.long | truncate:var.digits",
    ] {
        assert_stopped(&format!("@foreach(i in var.list)@set(x = {filtered})@endforeach"), &data);
    }
}

#[test]
fn stops_loops_over_large_lists_and_records() {
    let data = large_data();
    for body in [
        "@set(x = var.list | sort)",
        "@set(x = var.records | sort:'key')",
        "@set(x = var.list | json)",
        "@set(x = var.fields | json)",
        "@set(x = var.list | reverse)",
        "@set(x = var.list | slice:1)",
        "@set(x = var.list | unique)",
        "@set(x = var.list | join)",
        "@set(x = var.list + '')",
        "@foreach(j in var.fields)@endforeach",
        "@foreach(j in var.list)@endforeach",
        "{{ var.fields }}",
    ] {
        assert_stopped(&format!("@foreach(i in var.list){body}@endforeach"), &data);
    }
    let nested = format!("{}{}", "@foreach(i in var.hundred)".repeat(4), "@endforeach".repeat(4));
    assert_stopped(&nested, &data);
}

#[test]
fn stops_components_that_multiply() {
    assert_stopped("@component('c0')", &large_data());
}

#[test]
fn stops_large_records_in_components() {
    let fields = (0..50_000).fold(String::new(), |mut text, n| {
        let _ = write!(text, "k{n}:1,");
        text
    });
    assert_stopped(
        &format!("@set(d = {{{fields}}})@foreach(i in var.list)@component('read', d)@endforeach"),
        &large_data(),
    );
}

#[test]
fn compiles_many_blocks_and_names_in_linear_time() {
    let many = |count: usize, part: fn(usize) -> String| (0..count).map(part).collect::<String>();
    let blocks = many(80_000, |n| format!("@block(\"b{n}\")@endblock"));
    let names = many(50_000, |n| format!("@set(n{n} = 1)"));
    let files = Files { layouts: vec![("empty", "")], ..Files::default() };
    for source in
        [format!("@extends(\"empty\"){blocks}"), format!("@extends(\"empty\"){names}"), blocks, names]
    {
        if let Err(error) = Template::compile("page.html", &source, &files) {
            let message = &error.message;
            assert!(message.contains("nodes_max") || message.contains("at most 1000 @block"), "{error}");
        }
    }
}

#[test]
fn bounds_parts_that_are_compiled_again_and_names_the_file() {
    // A block with a large expression, which a layout shows 1,000 times.
    let large = format!("@set(x = [{}])", vec!["1"; 10_000].join(","));
    let page = format!("@extends(\"many\")@block(\"b\"){large}@endblock");
    let many: &'static str = Box::leak("@yield(\"b\")".repeat(1_000).into_boxed_str());
    let long: &'static str = Box::leak("text ".repeat(100_000).into_boxed_str());
    let files = Files { layouts: vec![("many", many)], components: vec![("long", long)] };
    let error = |source: &str| match Template::compile("page.html", source, &files) {
        Ok(_) => String::new(),
        Err(error) => error.to_string(),
    };
    assert!(
        error(&page).starts_with("page.html:1:") && error(&page).contains("nodes_max"),
        "{}",
        error(&page)
    );
    // Each set of argument names makes another template of the component.
    let calls: String = (0..1_000).map(|n| format!("@component(\"long\", {{a{n}: 1}})")).collect();
    assert!(error(&calls).contains("nodes_max"), "{}", error(&calls));
}

#[test]
fn honest_pages_use_at_most_a_tenth_of_the_fuel() {
    // The rows of `benches/template`.
    let rows = |count: usize| -> Value {
        let row = |n: usize| {
            json!({"class": format!("c{}", n % 7), "name": format!("<Row> & \"{n}\" é"), "on": n.is_multiple_of(3),
                   "note": n * 10, "tags": ["a", "b<", n]})
        };
        json!({"title": "Rows & more", "rows": (0..count).map(row).collect::<Vec<_>>()})
    };
    let table = "<h1>{{ var.title }}</h1><table>@foreach(row in var.rows)<tr class=\"{{ row.class }}\">\
        <td>{{ row.name }}</td>@if(row.on)<td>{{ row.note }}</td>@else<td>-</td>@endif\
        @foreach(tag in row.tags)<i>{{ tag }}</i>@endforeach</tr>@endforeach</table>";
    let fuel = |source: &str, data: &Value| {
        let rendered = render_with(&Files::default(), source, data).unwrap_or_else(|error| panic!("{error}"));
        println!("{} bytes: {} units", rendered.html.len(), rendered.fuel);
        rendered.fuel
    };
    assert!(fuel(table, &rows(90)) < SHORT_FUEL, "a page of 10 KB is short");
    assert!(fuel(table, &rows(9_000)) * 10 <= FUEL_DEFAULT, "a page of 1 MB");
    // A page as large as the output may be, in printed text.
    let eight = json!({"text": "a line of text & more\n".repeat(38_000), "n": [0, 1, 2, 3, 4, 5, 6, 7]});
    assert!(
        fuel("@foreach(i in var.n){{ var.text }}@endforeach", &eight) * 10 <= FUEL_DEFAULT,
        "a page of 8 MB"
    );
}

#[test]
fn long_rendering_ends_with_its_time_and_is_remembered() {
    let files = Files::default();
    let template = Template::compile(
        "page.html",
        "@foreach(a in var.list)@foreach(b in var.list)x@endforeach@endforeach",
        &files,
    )
    .unwrap_or_else(|error| panic!("{error}"));
    let data = large_data();
    let none = Map::new();
    let scope = Scope {
        variables: data.as_object().unwrap_or(&none),
        customer: &Value::Null,
        is_customer: false,
        request: &Value::Null,
        route_params: &Value::Null,
        host: None,
        language: None,
    };
    let now = std::time::SystemTime::UNIX_EPOCH;
    let until = Some(std::time::Instant::now());
    let quota = Quota { fuel: FUEL_DEFAULT, used: 0, until, memory_bytes: u64::MAX };
    let error = template.render_within(&scope, now, quota).map_err(|error| error.message);
    assert!(error.is_err_and(|message| message.contains("(wall_ms_max)")));
    let unhurried = Quota { until: None, ..quota };
    assert!(template.render_if_short(&scope, now, unhurried).is_none());
    assert!(template.is_long.load(std::sync::atomic::Ordering::Relaxed));
    let small = Quota { fuel: SHORT_FUEL, used: 0, until: None, memory_bytes: u64::MAX };
    let error = template.render_if_short(&scope, now, small).and_then(Result::err);
    assert!(
        error.is_some_and(|error| error.message.contains("more than 1000000 units of fuel (template_fuel)"))
    );
}
