//! Compares a page with the same page as a handwritten Handlebars template.

use handlebars::Handlebars;

use super::*;

const OURS: &str = "<h1>{{ var.title }}</h1><table>@foreach(row in var.rows)<tr class=\"{{ row.class }}\">\
    <td>{{ loop.index }}</td><td>{{ row.name }}</td>@if(row.on)<td>{{ row.note }}</td>@else<td>-</td>@endif\
    @foreach(tag in row.tags)<i>{{ tag }}</i>@endforeach</tr>\n@endforeach</table>";
const THEIRS: &str = "<h1>{{title}}</h1><table>{{#each rows}}<tr class=\"{{class}}\">\
    <td>{{@index}}</td><td>{{name}}</td>{{#if on}}<td>{{note}}</td>{{else}}<td>-</td>{{/if}}\
    {{#each tags}}<i>{{this}}</i>{{/each}}</tr>\n{{/each}}</table>";

fn rows(count: usize) -> Value {
    let row = |n: usize| {
        json!({"class": format!("c{}", n % 7), "name": format!("<Row> & \"{n}\" 'é'"), "on": n.is_multiple_of(3),
               "note": n * 10, "tags": ["a", "b<", n]})
    };
    json!({"title": "Rows & more", "rows": (0..count).map(row).collect::<Vec<_>>()})
}

fn escape(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

#[test]
fn prints_what_a_handwritten_handlebars_template_prints() {
    let mut handlebars = Handlebars::new();
    handlebars.register_escape_fn(escape);
    // Handlebars drops the line break after a block that is alone on its line; Sluice keeps it.
    let theirs = THEIRS.replace("</tr>\n", "</tr>{{break}}");
    handlebars.register_template_string("page", theirs).unwrap();
    let ours = Template::compile("page.html", OURS, &Files::default()).unwrap();
    for (count, bytes_min) in [(5, 500), (9, 1 << 10), (90, 10 << 10), (900, 100 << 10), (9_000, 1 << 20)] {
        let mut data = rows(count);
        let rendered = render_template(&ours, &data).unwrap().html;
        for row in data["rows"].as_array_mut().unwrap() {
            row["break"] = "\n".into();
        }
        let expected = handlebars.render("page", &data).unwrap();
        assert!(rendered.len() >= bytes_min, "{count} rows are {} bytes", rendered.len());
        assert!(rendered == expected, "{count} rows differ");
    }
}
