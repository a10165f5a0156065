//! What `sluice dev` runs later.

use super::{start, waits_for};
use crate::author_run::sluice;
use crate::harness::TestSite;

#[test]
fn jobs_run_and_a_schedule_can_be_started_at_once() {
    let site = TestSite::with(&[
        (
            "pages/push.html",
            "<script scope=\"backend\">queue.push('notes', 'pushed'); response.send('ok')</script>",
        ),
        (
            "pages/notes.html",
            "<script scope=\"backend\">response.send(storage.get('notes') ?? 'none')</script>",
        ),
        (
            "modules/notes.js",
            "export default (text) => { storage.set('notes', text); };\n\
             export const report = ({ schedule }) => { storage.set('notes', 'the report ' + schedule); };\n",
        ),
        (
            "brand.toml",
            "default = true\n[[schedule]]\nname = \"yearly\"\ncron = \"0 3 1 1 *\"\nmodule = \"notes\"\nfn = \"report\"\n",
        ),
    ]);
    let server = start(&site);
    waits_for(&server, "/notes", "none");
    server.get("localhost", "/push");
    waits_for(&server, "/notes", "pushed");
    let mut command = sluice(site.path(), &["jobs", "run-schedule", "yearly", "."]);
    let done = command.arg("--data").arg(server.data_dir()).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    waits_for(&server, "/notes", "the report yearly");
    // A schedule that is saved while the site is served can be started, too.
    site.write(
        "brands/demo/brand.toml",
        "default = true\n[[schedule]]\nname = \"new\"\ncron = \"0 3 1 1 *\"\nmodule = \"notes\"\nfn = \"report\"\n",
    );
    let mut command = sluice(site.path(), &["jobs", "run-schedule", "new", "."]);
    let done = command.arg("--data").arg(server.data_dir()).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    waits_for(&server, "/notes", "the report new");
}
