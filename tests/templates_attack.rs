//! Pages that render for as long as they can. Each ends with the error of a limit, and the pages
//! of another brand are answered meanwhile.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::harness::{Server, TestSite};
use crate::stalls::assert_no_stall;

/// What an attack does for each of 12,000 items. `var.long` has 900,000 characters.
const BODIES: &[(&str, &str)] = &[
    ("print", "{{ var.long }}"),
    ("equal", "@if(var.long == var.long)@endif"),
    ("less", "@if(var.long < var.long)@endif"),
    ("number", "@if(var.long > 1)@endif"),
    ("key", "@set(x = var[var.long])"),
    ("abs", "@set(x = var.long | abs)"),
    ("timeago", "@set(x = var.long | timeago)"),
    ("upper", "@set(x = var.long | upper)"),
    ("url", "<a href=\"{{ var.long }}\"></a>"),
    ("sort", "@set(x = var.list | sort)"),
    ("json", "@set(x = var.list | json)"),
    ("loop", "@foreach(j in var.list)@endforeach"),
    ("components", "@component('c0')"),
];

const SCRIPT: &str = "<script scope=\"backend\">
    setVariable('long', '1'.repeat(900000));
    setVariable('list', Array.from({ length: 12000 }, (_, i) => i));
</script>";

fn site() -> TestSite {
    let site = TestSite::new();
    for brand in ["attacker", "guest"] {
        site.write(&format!("brands/{brand}/brand.toml"), &format!("domains = [\"{brand}.test\"]\n"));
    }
    site.write("brands/guest/pages/index.html", "<p>{{ request.path }}</p>");
    for level in 0..12 {
        let calls = format!("@component('c{}')", level + 1).repeat(10);
        site.write(&format!("brands/attacker/components/c{level}.html"), &calls);
    }
    site.write("brands/attacker/components/c12.html", "");
    for (name, body) in BODIES {
        let page = format!("{SCRIPT}@foreach(i in var.list){body}@endforeach");
        site.write(&format!("brands/attacker/pages/{name}.html"), &page);
    }
    site
}

#[test]
fn attacks_end_with_a_limit_while_another_brand_is_served() {
    let site = site();
    let server = &Server::start(site.path());
    assert_eq!(server.get("guest.test", "/").status, 200);
    let over = AtomicBool::new(false);
    let served = std::thread::scope(|scope| {
        let guest = scope.spawn(|| {
            let mut served = 0;
            while !over.load(Ordering::Relaxed) {
                assert_eq!(server.get("guest.test", "/").body, "<p>/</p>");
                served += 1;
            }
            served
        });
        for (name, _) in BODIES {
            let attack = move || server.get("attacker.test", &format!("/{name}")).status;
            let attacks = [scope.spawn(attack), scope.spawn(attack)];
            assert_eq!(attacks.map(|attack| attack.join().unwrap()), [500, 500], "{name}");
        }
        over.store(true, Ordering::Relaxed);
        guest.join().unwrap()
    });
    assert!(served > 0);
    for (name, _) in BODIES {
        let page = format!("pages/{name}.html");
        server.wait_until(&format!("both attacks of {name} ended with a limit"), || {
            let entries = server.log_entries(&[("outcome", "template")]);
            let own = entries.iter().map(ToString::to_string).filter(|entry| entry.contains(&page));
            own.filter(|entry| entry.contains("template_fuel") || entry.contains("_bytes_max")).count() >= 2
        });
    }
    // On the worker's thread, each attack would use up its fuel in one poll.
    assert_no_stall(server);
}

#[test]
fn small_quota_of_a_page_ends_its_rendering() {
    let site = TestSite::with(&[("pages/index.html", "@foreach(i in [1,2,3]){{ i }}@endforeach")]);
    site.write("brands/demo/brand.toml", "default = true\n[limits]\ntemplate_fuel = 500\n");
    let server = Server::start(site.path());
    assert_eq!(server.get("localhost", "/").status, 500);
    let entries = server.wait_log_entries(&[("outcome", "template")], 1);
    assert!(
        entries.iter().any(|entry| entry.to_string().contains("more than 500 units of fuel")),
        "{entries:?}"
    );
}

#[test]
fn long_page_is_whole_and_may_use_the_variables_of_the_brand() {
    let page = "<script scope=\"backend\">setVariable('list', Array.from({ length: 12000 }, (_, i) => i));</script>\
                @foreach(i in var.list)<i>{{ i }}</i>{{ var.sign }}@endforeach";
    let site = TestSite::with(&[("pages/index.html", page)]);
    site.write("brands/demo/brand.toml", "default = true\n[variables]\nsign = \"&\"\n");
    let server = Server::start(site.path());
    let expected: String = (0..12_000).map(|i| format!("<i>{i}</i>&amp;")).collect();
    for _ in 0..2 {
        let answer = server.get("localhost", "/");
        assert_eq!((answer.status, answer.body == expected), (200, true));
    }
}
