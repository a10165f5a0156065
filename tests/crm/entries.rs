//! `sluice crm export-entries` and `sluice crm import-entries`.

use super::{complaint, printed, sluice};
use crate::harness::TestSite;

const CRM: &str = "[[entity]]
slug = \"leads\"
[[entity.field]]
key = \"email\"
unique = true
[[entity.field]]
key = \"score\"
type = \"number\"
";

#[test]
fn entries_survive_a_spreadsheet() {
    let site = TestSite::with(&[("crm.toml", CRM)]);
    let data = tempfile::tempdir().unwrap();
    let (data, dir) = (data.path(), site.path().to_str().unwrap());
    printed(data, &["crm", "apply", dir]);
    let file = site.path().join("leads.csv");
    let path = file.to_str().unwrap();
    let import = ["crm", "import-entries", "leads", path, dir];
    let export = || printed(data, &["crm", "export-entries", "leads", dir]);
    let header =
        "entry id,reference type,reference id,pipeline slug,stage slug,created at,updated at,email,score";
    assert_eq!(export(), format!("{header}\r\n"));

    std::fs::write(&file, "reference type,reference id,email,score,note\na,1,ann,5,'=1\na,2,bob,x,\n")
        .unwrap();
    let said = complaint(data, &import);
    assert!(said.contains("leads.csv:3:9: \"x\" is no number"), "{said}");
    assert_eq!(export(), format!("{header}\r\n"), "nothing was imported");

    std::fs::write(
        &file,
        "reference type,reference id,email,score,note\na,1,ann,5,'=1\na,2,ann,-2,\na,3,cid,1,x\n",
    )
    .unwrap();
    assert_eq!(printed(data, &[&import[..], &["--dry-run"]].concat()), "3 records can be imported\n");
    let said = complaint(data, &import);
    assert!(said.contains("leads.csv:3: another entry has the same value in a unique field"), "{said}");
    assert!(said.contains("1 entries were created and 0 changed before"), "{said}");
    assert!(said.contains("go on with --from-line 3"), "{said}");
    let corrected = std::fs::read_to_string(&file).unwrap().replace("a,2,ann", "a,2,bob");
    std::fs::write(&file, corrected).unwrap();
    let rest = printed(data, &[&import[..], &["--from-line", "3"]].concat());
    assert_eq!(rest, "2 entries created, 0 changed\n");

    let exported = export();
    let lines: Vec<&str> = exported.lines().collect();
    assert_eq!(lines[0], format!("{header},note"));
    let mut shown: Vec<Vec<&str>> = lines[1..]
        .iter()
        .map(|line| line.split(',').collect::<Vec<_>>())
        .map(|cells| [&cells[1..3], &cells[7..]].concat())
        .collect();
    // Entries of the same millisecond are in the order of their ids.
    shown.sort_unstable();
    assert_eq!(
        shown,
        [["a", "1", "ann", "5", "'=1"], ["a", "2", "bob", "-2", ""], ["a", "3", "cid", "1", "x"]]
    );
    // An export can be imported again: its records change their entries.
    std::fs::write(&file, exported.replace(",cid,", ",dan,")).unwrap();
    assert_eq!(printed(data, &import), "0 entries created, 3 changed\n");
    assert!(export().contains(",dan,1,x"));
    let unknown = sluice(data, &["crm", "export-entries", "lead", dir]);
    let said = String::from_utf8_lossy(&unknown.stderr);
    assert!(said.contains("the brand demo has no entity \"lead\" (did you mean \"leads\"?)"), "{said}");
}
