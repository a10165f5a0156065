//! Measures how long rendering a page takes, compared with a handwritten Handlebars template of
//! the same page. The goal is at most 1.2 times as long, and time that grows linearly with the
//! page.

#![allow(clippy::expect_used, clippy::print_stdout, reason = "a bench ends at the first failure and prints")]

use std::time::{Duration, SystemTime};

use criterion::{BenchmarkId, Criterion};
use handlebars::Handlebars;
use serde_json::{Value, json};

use sluice_template::{Scope, Template};

use sluice_benches::medians::{self, Medians};

/// How often each side is measured. The sides take turns, because other work on the machine changes
/// its speed.
const ROUNDS: u32 = 7;
const RATIO_GOAL: f64 = 1.2;
/// The names of the page sizes, and the number of rows of each.
const SIZES: [(&str, usize); 4] = [("1 KB", 9), ("10 KB", 90), ("100 KB", 900), ("1 MB", 9_000)];

const OURS: &str = "<h1>{{ var.title }}</h1><table>@foreach(row in var.rows)<tr class=\"{{ row.class }}\">\
    <td>{{ row.name }}</td>@if(row.on)<td>{{ row.note }}</td>@else<td>-</td>@endif\
    @foreach(tag in row.tags)<i>{{ tag }}</i>@endforeach</tr>@endforeach</table>";
const THEIRS: &str = "<h1>{{title}}</h1><table>{{#each rows}}<tr class=\"{{class}}\">\
    <td>{{name}}</td>{{#if on}}<td>{{note}}</td>{{else}}<td>-</td>{{/if}}\
    {{#each tags}}<i>{{this}}</i>{{/each}}</tr>{{/each}}</table>";

fn main() {
    let begun = SystemTime::now();
    let mut criterion = Criterion::default()
        .output_directory(&medians::dir(env!("CARGO_TARGET_TMPDIR")))
        .warm_up_time(Duration::from_millis(50))
        .measurement_time(Duration::from_millis(250))
        .sample_size(10)
        .nresamples(2_000)
        .configure_from_args();
    let ours = Template::compile("page.html", OURS, &()).expect("the page compiles");
    let mut theirs = Handlebars::new();
    theirs.register_template_string("page", THEIRS).expect("the template compiles");
    let mut bytes = Vec::new();
    for (size, rows) in SIZES {
        let data = rows_of(rows);
        bytes.push(render(&ours, &data).len());
        let mut group = criterion.benchmark_group(format!("template {size}"));
        for round in 0..ROUNDS {
            group.bench_function(BenchmarkId::new("handlebars", round), |bencher| {
                bencher.iter(|| theirs.render("page", &data).expect("the page renders"));
            });
            group.bench_function(BenchmarkId::new("sluice", round), |bencher| {
                bencher.iter(|| render(&ours, &data));
            });
        }
        group.finish();
    }
    criterion.final_summary();
    print(&Medians::since(begun, medians::dir(env!("CARGO_TARGET_TMPDIR")), ROUNDS), &bytes);
}

fn render(template: &Template, data: &Value) -> String {
    let variables = data.as_object().expect("the data are a record");
    let scope = Scope {
        variables,
        customer: &Value::Null,
        is_customer: false,
        request: &Value::Null,
        route_params: &Value::Null,
        host: None,
        language: None,
    };
    template.render(&scope).expect("the page renders").html
}

fn rows_of(count: usize) -> Value {
    let row = |n: usize| {
        json!({"class": format!("c{}", n % 7), "name": format!("<Row> & \"{n}\" é"), "on": n.is_multiple_of(3),
               "note": n * 10, "tags": ["a", "b<", n]})
    };
    json!({"title": "Rows & more", "rows": (0..count).map(row).collect::<Vec<_>>()})
}

fn print(medians: &Medians, bytes: &[usize]) {
    println!("\n{:<10}{:>12}{:>12}{:>12}{:>12}", "page", "handlebars", "sluice", "ratio", "per KB");
    for ((size, _), bytes) in SIZES.iter().zip(bytes) {
        let group = format!("template {size}");
        let ratio = medians.ratio(&group, "sluice", "handlebars");
        let (theirs, ours) = (medians.of(&group, "handlebars"), medians.of(&group, "sluice"));
        let (Some(ratio), Some(theirs), Some(ours)) = (ratio, theirs, ours) else { continue };
        let verdict = if ratio <= RATIO_GOAL { "holds" } else { "MISSED" };
        let per_kb = ours.mul_f64(1_024.0 / *bytes as f64);
        println!("{size:<10}{theirs:>12.1?}{ours:>12.1?}{ratio:>10.2} ×{per_kb:>12.1?}  {verdict}");
    }
}
