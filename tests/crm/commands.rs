//! `sluice crm`.

use super::{complaint, printed, sluice};
use crate::harness::TestSite;

const FIRST: &str = r##"[[entity]]
slug = "leads"
name = "All leads"

[[entity.field]]
key = "size"
label = "Size"
type = "select"
options = ["S", { value = "m", label = "Medium" }]

[[entity.pipeline]]
slug = "sales"
stages = [{ slug = "new", name = "New" }, { slug = "won", color = "#0f0", status = "active" }]
"##;

fn site(brands: &[(&str, &str)]) -> TestSite {
    let site = TestSite::new();
    for (brand, crm) in brands {
        site.write(&format!("brands/{brand}/crm.toml"), crm);
    }
    site
}

#[test]
fn apply_reports_its_changes_and_makes_them_once() {
    let site = site(&[("acme", FIRST), ("plain", "")]);
    let data = tempfile::tempdir().unwrap();
    let (data, dir) = (data.path(), site.path().to_str().unwrap());
    let steps = "  added entity \"leads\"
  added field \"size\" to entity \"leads\"
  added pipeline \"sales\" to entity \"leads\"
  added stage \"new\" to pipeline \"sales\" of entity \"leads\"
  added stage \"won\" to pipeline \"sales\" of entity \"leads\"
plain: nothing to change\n";
    let plan = printed(data, &["crm", "apply", dir, "--dry-run"]);
    assert_eq!(plan, format!("acme: 5 changes would be made\n{steps}"));
    assert_eq!(printed(data, &["crm", "show", dir, "--brand", "acme"]), "acme\n  no entities\n");
    assert_eq!(printed(data, &["crm", "apply", dir]), format!("acme: 5 changes\n{steps}"));
    let shown = printed(data, &["crm", "show", dir, "--brand", "acme"]);
    let expected = "acme
  entity leads (id 1), \"All leads\", mode crm
    field size, \"Size\", select
    pipeline sales (id 1), \"sales\"
      stage new (id 1), \"New\"
      stage won (id 2), \"won\", #0f0, active\n";
    assert_eq!(shown, expected);

    // After renaming and leaving out entities, ids stay the same and nothing is deleted.
    let second = FIRST.replace("All leads", "Leads").replace("{ slug = \"new\", name = \"New\" }, ", "");
    site.write("brands/acme/crm.toml", &second);
    let changed = "  changed entity \"leads\": name \"All leads\" → \"Leads\"
  changed stage \"won\" of pipeline \"sales\" of entity \"leads\": position 1 → 0\n";
    let dry = printed(data, &["crm", "apply", dir, "--dry-run", "--brand", "acme"]);
    assert_eq!(dry, format!("acme: 2 changes would be made\n{changed}"));
    let done = printed(data, &["crm", "apply", dir, "--brand", "acme"]);
    assert_eq!(done, format!("acme: 2 changes\n{changed}"));
    let again = printed(data, &["crm", "apply", dir]);
    assert_eq!(again, "acme: nothing to change\nplain: nothing to change\n");
    let shown = printed(data, &["crm", "show", dir, "--brand", "acme"]);
    assert!(shown.contains("stage won (id 2)") && shown.contains("stage new (id 1)"), "{shown}");
}

#[test]
fn applying_an_export_changes_nothing() {
    let here = site(&[("acme", FIRST)]);
    let data = tempfile::tempdir().unwrap();
    printed(data.path(), &["crm", "apply", here.path().to_str().unwrap()]);
    let exported = printed(data.path(), &["crm", "export", here.path().to_str().unwrap()]);
    here.write("brands/acme/crm.toml", &exported);
    let same = printed(data.path(), &["crm", "apply", here.path().to_str().unwrap()]);
    assert_eq!(same, "acme: nothing to change\n", "{exported}");

    let there = site(&[("other", &exported)]);
    let data = tempfile::tempdir().unwrap();
    let there = there.path().to_str().unwrap();
    printed(data.path(), &["crm", "apply", there]);
    assert_eq!(printed(data.path(), &["crm", "export", there]), exported);
}

#[test]
fn reports_mistakes_with_file_line_and_a_similar_name() {
    let cases = [
        ("[[entity]]\nslgu = \"leads\"\n", "crm.toml:2:1: unknown key \"slgu\"; did you mean \"slug\"?"),
        (
            "[[entity]]\nslug = \"leads\"\n[[entity.field]]\nkey = \"a\"\ntype = \"nubmer\"\n",
            "crm.toml:5:8: unknown name \"nubmer\"; did you mean \"number\"?",
        ),
        ("[[entity]]\nslug = \"No\"\n", "crm.toml:2:8: slug \"No\" does not match"),
        ("[[entity]\n", "crm.toml:1:"),
    ];
    for (text, message) in cases {
        let site = site(&[("acme", FIRST), ("broken", text)]);
        let data = tempfile::tempdir().unwrap();
        let dir = site.path().to_str().unwrap();
        let error = complaint(data.path(), &["crm", "apply", dir]);
        assert!(error.contains(&format!("brands/broken/{message}")), "{error}");
        let shown = printed(data.path(), &["crm", "show", dir, "--brand", "acme"]);
        assert!(shown.contains("no entities"), "no brand was changed: {shown}");
    }
}

#[test]
fn suggests_names_of_brands() {
    let site = site(&[("acme", FIRST), ("other", "")]);
    let data = tempfile::tempdir().unwrap();
    let dir = site.path().to_str().unwrap();
    let error = complaint(data.path(), &["crm", "apply", dir, "--brand", "acne"]);
    assert!(error.contains("there is no brand \"acne\" (did you mean \"acme\"?)"), "{error}");
    let error = complaint(data.path(), &["crm", "export", dir]);
    assert!(error.contains("choose it with --brand: acme, other"), "{error}");
    assert_eq!(sluice(data.path(), &["crm", "nonsense"]).status.code(), Some(2));
}
