//! Tests of every filter, and of the examples in `docs/templates.md`.

use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use super::*;
use crate::filters::Filter;

#[test]
fn filters_texts() {
    check(&[
        ("{{ 'hELLO wORLD' | capitalize }} {{ '' | capitalize }}{{ 'éa' | capitalize }}", "Hello world Éa"),
        ("{{ \"o'neil well-KNOWN ß\" | title }}", "O&#39;neil Well-Known SS"),
        ("[{{ ' \\n a b ' | trim }}]", "[a b]"),
        ("{{ 'abc' | first }}{{ 'abc' | last }}{{ '' | first }}{{ 'ö😀' | last }}", "ac😀"),
        (
            "{{ 'abcdef' | slice:0:3 }} {{ 'abcdef' | slice:-2 }} {{ 'abcdef' | slice:1:-1 }} {{ 'ab' | slice:5 }}",
            "abc ef bcde ",
        ),
        (
            "{{ 'a-b-c' | replace:'-':' ' }} {{ 'aaa' | replace:'a':'b' }} {{ 'a' | replace:'':'x' }} {{ 'a.b' | replace:'.':'$&' }}",
            "a b c bbb a a$&amp;b",
        ),
        (
            "{{ 'The quick fox' | truncate:9 }} {{ 'abc' | truncate:3 }} {{ 'abc' | truncate:0 }}",
            "The quick... abc ...",
        ),
        ("{{ 'The quick brown fox' | truncatewords:2 }} {{ 'a b' | truncatewords:2 }}", "The quick... a b"),
        ("{{ 'a<b\\nc\\r\\nd' | nl2br | raw }}", "a&lt;b<br>c<br>d"),
        ("{{ '<p>a <b>b</b></p>' | strip_tags }}", "a b"),
        ("{{ 'a b&c/d=é~' | url_encode }}", "a%20b%26c%2Fd%3D%C3%A9~"),
        (
            "{{ var.no | upper }}{{ var.no | truncate:2 }}{{ null | replace:'a':'b' }}{{ var.no | title }}|",
            "|",
        ),
        ("{{ 12 | upper }} {{ true | capitalize }} {{ var.list | upper }}", "12 True 3,1,2"),
    ]);
}

#[test]
fn formats_prices_and_addresses_of_products() {
    check(&[
        (
            "{{ 1234.5 | formatPrice }} {{ 5 | formatPrice:'EUR' }} {{ '$5.00' | formatPrice }}",
            "$1,234.50 €5.00 $5.00",
        ),
        ("{{ var.no | formatPrice }}|{{ 3 | formatPrice:var.no }}", "|$3.00"),
        ("{{ {slug: 'blue-widget', id: 42} | productUrl:'shop/product' }}", "/shop/product/blue-widget-42"),
        ("{{ {title: \"Ann's  Blue Widget!\", code: 'BW'} | productUrl:'/p/' }}", "/p/anns-blue-widget-bw"),
        ("{{ {checkout_title: 'Zwölf', title: 'x', id: 1} | productUrl }}", "/zw%C3%B6lf-1"),
        ("{{ {slug: '//evil.example/..', id: 0} | productUrl:'\\\\/evil/../p' }}", "/evil/p/evil-example-0"),
        (
            "{{ {id: 7} | productUrl:'p' }} {{ {} | productUrl:'p' }} {{ 'a b' | productUrl:'p' }}",
            "/p/7 /p /p/a-b",
        ),
        ("{{ var.no | productUrl:'p' }}{{ null | productUrl }}|", "|"),
        ("<a href=\"{{ {slug: 'javascript:x'} | productUrl }}\">", "<a href=\"/javascript-x\">"),
    ]);
}

#[test]
fn filters_lists() {
    check(&[
        (
            "{{ var.list | length }} {{ var.words | size }} {{ 'zwölf' | size }} {{ var.map | length }} {{ var.no | length }} {{ 5 | length }}",
            "3 3 5 2 0 0",
        ),
        (
            "{{ var.list | first }} {{ var.list | last }} {{ var.none | first }}{{ var.none | last }}|",
            "3 2 |",
        ),
        ("{{ var.list | slice:1 }} {{ var.list | slice:0:-1 }} {{ var.list | slice:9 }}", "[1,2] [3,1] []"),
        (
            "{{ var.words | join }} {{ var.words | join:', ' }} {{ var.nested | join:'; ' }} {{ [1, null, 'x'] | join:'-' }}",
            "b,a,c b, a, c [1,2]; [3] 1--x",
        ),
        (
            "{{ var.list | sort | join }} {{ var.words | sort | join }} {{ [10, 9, 'b', null, 'a'] | sort | json }}",
            "1,2,3 a,b,c [9,10,&quot;a&quot;,&quot;b&quot;,null]",
        ),
        (
            "{{ (var.people | sort:'age')[0].name }} {{ var.people | sort:'name' | last | json | raw }}",
            "Bob {\"name\":\"Bob\",\"age\":7}",
        ),
        ("{{ var.list | reverse }} {{ 'abc' | reverse }} {{ var.no | reverse }}", "[2,1,3] cba "),
        ("{{ [1, '1', 1, [2], [2], null, null] | unique | json | raw }}", "[1,\"1\",[2],null]"),
        (
            "{{ [{a: 1, b: 1}, {a: 1, b: 2}, {a: 2}] | unique:'a' | json | raw }}",
            "[{\"a\":1,\"b\":1},{\"a\":2}]",
        ),
        ("{{ 'abc' | sort }} {{ 'a' | join:'-' }} {{ null | sort }}", "abc a "),
        ("@foreach(p in var.people | sort:'age'){{ p.name }} @endforeach", "Bob Ada "),
    ]);
}

#[test]
fn filters_numbers() {
    check(&[
        ("{{ 2.5 | round }} {{ -2.5 | round }} {{ 1.005 | round:2 }} {{ '2.4' | round }}", "3 -2 1.01 2"),
        ("{{ 2.9 | floor }} {{ -2.1 | floor }} {{ 2.1 | ceil }} {{ -3 | abs }}", "2 -3 3 3"),
        (
            "{{ var.price | number_format }} {{ 1234567 | number_format:0 }} {{ -1.5 | number_format:1 }} {{ '1000' | number_format }}",
            "1,234.50 1,234,567 -1.5 1,000.00",
        ),
        (
            "{{ var.price | currency }} {{ var.price | currency:'EUR' }} {{ -5 | currency:'GBP' }} {{ 1 | currency:var.no }}",
            "$1,234.50 €1,234.50 -£5.00 $1.00",
        ),
        ("{{ 1 | currency:'CHF' }}", "CHF\u{a0}1.00"),
        (
            "{{ var.no | round }}{{ null | currency }}{{ '' | number_format }}|{{ 'abc' | round }} {{ 'abc' | currency }}",
            "|abc abc",
        ),
        ("{{ 1 | number_format:99 }}", "1.00000000000000000000"),
    ]);
}

#[test]
fn filters_booleans_and_missing_values() {
    check(&[
        (
            "{{ var.t | yesno:'a':'b':'c' }} {{ var.f | yesno:'a':'b':'c' }} {{ var.no | yesno:'a':'b':'c' }}",
            "a b c",
        ),
        ("{{ var.no | yesno:'a':'b' }} {{ 1 | yesno }} {{ 0 | yesno }} {{ '' | yesno:'on' }}", "b yes no no"),
        (
            "{{ '' | default:'d' }} {{ null | default:'d' }} {{ false | default:'d' }} {{ '' | default_if_none:'d' }}",
            "d d false ",
        ),
    ]);
}

#[test]
fn filters_dates() {
    check(&[
        ("{{ var.date | date:'yyyy-MM-dd HH:mm:ss' }}", "2024-03-05 14:07:09"),
        (
            "{{ var.date | date:'MMM d, yyyy' }} {{ var.date | date }} {{ var.date | date:'MMMM' }}",
            "Mar 5, 2024 Mar 5, 2024 March",
        ),
        (
            "{{ var.date | date:'h:mm a' }} {{ var.date | date:'hh H m s M yy dd' }}",
            "2:07 PM 02 14 7 9 3 24 05",
        ),
        (
            "{{ '2024-03-05T00:30:00Z' | date:'h a, hh' }} {{ '2024-03-05T12:00:00Z' | date:'h a' }}",
            "12 AM, 12 12 PM",
        ),
        (
            "{{ 0 | date:'yyyy-MM-dd' }} {{ 1709647629000 | date:'HH:mm' }} {{ '1709647629000' | date:'ss' }}",
            "1970-01-01 14:07 09",
        ),
        ("{{ var.date | date:\"d 'of' MMMM, h 'o''clock'\" }}", "5 of March, 2 oclock"),
        ("{{ '2024-03-05T23:30:00-02:00' | date:'MMM d' }}", "Mar 6"),
        ("{{ var.date | date:'EEEE EEE EE E, do Q y SSS aaa' }}", "Tuesday Tue Tue Tue, 5th 1 2024 000 pm"),
        (
            "{{ '2024-12-01' | date:'do' }} {{ '2024-12-02' | date:'do' }} {{ '2024-12-03' | date:'do' }}",
            "1st 2nd 3rd",
        ),
        (
            "{{ '2024-12-11' | date:'do' }} {{ '2024-12-13' | date:'do' }} {{ '2024-12-31' | date:'do Q' }}",
            "11th 13th 31st 4",
        ),
        ("{{ '-271821-04-20' | date:'y' }} {{ 8.64e15 | date:'EEE y' }}", "-271821 Sat 275760"),
        ("{{ 'soon' | date }}{{ var.no | date }}{{ null | date:'yyyy' }}", "soon"),
        (
            "{{ '2024-02-28' | date_add:2 }} {{ var.date | date_add:-5 | date:'MMM d' }} {{ 0 | date_add:0.5 }}",
            "2024-03-01 Feb 29 1970-01-01T12:00:00.000Z",
        ),
        (
            "{{ 'now' | timeago }} {{ 'now' | date_add:-3 | timeago }} {{ 'now' | date_add:1 | timeago }} {{ 'x' | timeago }}",
            "just now 3 days ago in 1 day x",
        ),
    ]);
}

#[test]
fn now_is_the_given_time() {
    let template = Template::compile(
        "page.html",
        "{{ 'now' | date:'yyyy' }} {{ '2023-11-14' | timeago }}",
        &Files::default(),
    );
    let none = Map::new();
    let null = Value::Null;
    let scope = Scope {
        variables: &none,
        customer: &null,
        is_customer: false,
        request: &null,
        route_params: &null,
        host: None,
        language: None,
    };
    let at = UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    let html = template.and_then(|template| template.render_at(&scope, at)).map(|rendered| rendered.html);
    assert_eq!(html.as_deref(), Ok("2023 22 hours ago"));
}

#[test]
fn rejects_a_wrong_number_of_arguments() {
    check(&[
        ("{{ 1 | upper:2 }}", "page.html:1:8: upper takes no arguments, not 1"),
        ("{{ 1 | replace:2 }}", "page.html:1:8: replace takes 2 arguments, not 1"),
        ("{{ 1 | slice }}", "page.html:1:8: slice takes 1 to 2 arguments, not 0"),
        ("{{ 1 | yesno:1:2:3:4 }}", "page.html:1:8: yesno takes 0 to 3 arguments, not 4"),
    ]);
}

/// The rows of the table in the documentation: a filter's name, an example and its output.
fn documented() -> Vec<(String, String, String)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../docs/templates.md");
    let text = std::fs::read_to_string(path).unwrap();
    let code = |cell: &str| cell.trim().trim_matches('`').replace("\\|", "|");
    text.lines()
        .filter_map(|line| {
            // Pipes inside a cell are escaped.
            let line = line.trim().strip_prefix("| `")?.replace("\\|", "\u{0}");
            let cells: Vec<&str> = line.split('|').collect();
            let [name, example, output, ..] = cells.as_slice() else {
                return None;
            };
            let cell = |text: &str| code(&text.replace('\u{0}', "|"));
            example.contains("{{").then(|| (code(name), cell(example), cell(output)))
        })
        .collect()
}

#[test]
fn every_filter_has_a_correct_example_in_the_documentation() {
    let documented = documented();
    for name in Filter::names() {
        assert!(documented.iter().any(|(known, ..)| known == name), "{name} is not documented");
    }
    for (name, example, output) in documented {
        assert_eq!(page(&example), output, "{name}: {example}");
        assert!(example.contains(&name), "{name}: {example}");
    }
}
