use sluice_kit::folder::FolderPath;

use super::*;

fn read(text: &str, environment: &[(&str, &str)]) -> Result<SiteConfig, String> {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("sluice.toml"), text).unwrap();
    let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    read_site(dir.path(), environment).map_err(|error| error.to_string())
}

#[test]
fn environment_overrides_the_file() {
    let file = "[server]\nlisten = \"127.0.0.1:1\"\n[limits]\nfuel = 5\n";
    let config =
        read(file, &[("SLUICE_SERVER__LISTEN", "127.0.0.1:2"), ("SLUICE_SECRET_A__B", "x")]).unwrap();
    assert_eq!(config.server.listen.port(), 2);
    assert_eq!(config.limits.fuel, Some(5));
    let config = read(file, &[("SLUICE_LIMITS__FUEL", "6"), ("SLUICE_SESSION__LIFETIME", "2m")]).unwrap();
    assert_eq!(config.limits.fuel, Some(6));
    assert_eq!(config.session.lifetime, Duration::from_secs(120));
    assert_eq!(config.limits_from_environment, ["fuel"]);
    let config = read("", &[("SLUICE_LIMITS__MAX__FUEL", "7"), ("SLUICE_LIMITS__MAX__MEMORY", "8")]).unwrap();
    assert_eq!((config.limits.max.fuel, config.limits.max.memory_bytes()), (Some(7), 8));
}

#[test]
fn keys_of_a_bucket_are_text_and_only_the_operator_names_it() {
    let file = "[files.s3]\nendpoint = \"https://s3.example\"\nbucket = \"b\"\nregion = \"r\"\n";
    let keys = [("SLUICE_FILES__S3__KEY_ID", "1"), ("SLUICE_FILES__S3__SECRET_KEY", "2")];
    let s3 = read(file, &keys).unwrap().files.s3.unwrap();
    assert_eq!((s3.key_id.as_str(), s3.secret_key.as_str(), s3.names_bucket()), ("1", "2", true));
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("sluice.toml"), file).unwrap();
    let keys = keys.map(|(name, value)| (name.to_owned(), value.to_owned())).into_iter();
    let config = read_site_as(Reader::Developer, dir.path(), keys).unwrap();
    assert_eq!(config.ignored, ["files.s3"]);
    assert!(!config.files.s3.unwrap().names_bucket());
    let error = read("[files.s3]\nendpoint = \"s3.example\"\n", &[]).unwrap_err();
    assert!(error.contains("`s3.example` is not a URL"), "{error}");
}

#[test]
fn uploads_of_a_page_are_bounded() {
    let page = |uploads: &str| {
        let text = format!("[[page]]\npath = \"/a\"\nuploads = {{ {uploads} }}\n");
        toml::from_str::<BrandConfig>(&text).map_err(|error| error.to_string())
    };
    let config = page("files_max = 20, bytes_max = \"10 MB\", types = [\"image/png\"]").unwrap();
    let uploads = config.page[0].uploads.as_ref().unwrap();
    assert_eq!((uploads.files_max, uploads.bytes_max), (20, 10 << 20));
    assert_eq!(page("bytes_max = 5").unwrap().page[0].uploads.as_ref().unwrap().files_max, 1);
    for (uploads, expected) in [
        ("files_max = 21, bytes_max = 1", "1 to 20 files, not 21"),
        ("files_max = 0, bytes_max = 1", "1 to 20 files, not 0"),
        ("bytes_max = \"10 megabytes\"", "not a size such as"),
        ("bytes_max = 1, types = [\"image/jpg\"]", "`image/jpg` is not a type"),
        ("files_max = 1", "missing field `bytes_max`"),
    ] {
        let error = page(uploads).unwrap_err();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn errors_name_the_place_and_the_nearest_key() {
    let error = read("[server]\n\nlissten = 1\n", &[]).unwrap_err();
    assert!(error.contains("sluice.toml") && error.contains("line 3"), "{error}");
    assert!(error.contains("lissten") && error.ends_with("(did you mean \"listen\"?)"), "{error}");
    let error = read("", &[("SLUICE_LIMITS__FUELL", "6")]).unwrap_err();
    assert!(error.contains("SLUICE_LIMITS__FUELL") && error.contains("did you mean \"fuel\""), "{error}");
    let error = read("[server]\ntrusted_proxies = [\"10.0.0.0/8\", \"proxy\"]", &[]).unwrap_err();
    assert!(error.contains("`proxy`") && error.contains("line 2"), "{error}");
    let error = read("[session]\nlifetime = \"3 hours\"", &[]).unwrap_err();
    assert!(error.contains("3 hours") && error.contains("line 2"), "{error}");
}

#[test]
fn rejects_numbers_of_threads_and_shares_out_of_range() {
    for (setting, good, bad) in [
        ("[server]\nworkers", &["1", "64"][..], &["0", "-1"][..]),
        ("[log]\nsample", &["0", "0.5", "1", "1.0"], &["-0.01", "1.01", "5", "nan", "inf"]),
    ] {
        for value in good {
            assert!(read(&format!("{setting} = {value}"), &[]).is_ok(), "{setting} = {value}");
        }
        for value in bad {
            let error = read(&format!("{setting} = {value}"), &[]).unwrap_err();
            assert!(error.contains("sluice.toml") && error.contains("line 2"), "{error}");
        }
    }
    let error = read("", &[("SLUICE_SERVER__WORKERS", "0")]).unwrap_err();
    assert!(error.contains("SLUICE_SERVER__WORKERS") && error.contains("write at least 1"), "{error}");
    let error = read("[log]\nsample = 50", &[]).unwrap_err();
    assert!(error.contains("`50` is not a number from 0 to 1"), "{error}");
}

#[test]
fn only_the_environment_names_places_of_the_operators_files() {
    for (text, variable, value) in [
        ("[database]\nurl = \"sqlite:PATH\"", "SLUICE_DATABASE__URL", "sqlite:PATH"),
        ("[secrets]\ndir = \"PATH\"", "SLUICE_SECRETS__DIR", "PATH"),
        ("[cache]\ndir = \"PATH\"", "SLUICE_CACHE__DIR", "PATH"),
        ("[log]\npath = \"PATH\"", "SLUICE_LOG__PATH", "PATH"),
        ("[server]\nsocket = \"PATH\"", "SLUICE_SERVER__SOCKET", "PATH"),
    ] {
        for path in ["/etc/x", "../x", "a/../../x", "a/x.db", "app.key", "other.db", "", "."] {
            let error = read(&text.replace("PATH", path), &[]).unwrap_err();
            assert!(error.contains("sluice.toml: ") && error.contains(variable), "{error}");
            assert!(read("", &[(variable, &value.replace("PATH", path))]).is_ok(), "{variable} {path}");
        }
    }
    let defaults = "[database]\nurl = \"sqlite:sluice.db\"\n[secrets]\ndir = \"secrets\"\n\
                    [cache]\ndir = \"cache\"\n[log]\npath = \"runs.db\"\n";
    assert!(read(defaults, &[]).is_ok());
    assert!(read("[database]\nurl = \"postgres://db/site\"", &[]).is_ok());
}

#[test]
fn two_brands_cannot_have_the_same_domain_in_sluice_toml() {
    let error =
        read("[brands.a]\ndomains = [\"x.ex\"]\n[brands.b]\ndomains = [\"*.y.ex\", \"X.ex.\"]\n", &[]);
    let error = error.unwrap_err();
    assert!(error.contains("[brands.a] and [brands.b] both list the domain x.ex"), "{error}");
    let brands =
        read("[brands.a]\n[brands.b]\ndomains = [\"*.x.ex\"]\n[brands.c]\ndomains = [\"a.x.ex\"]\n", &[]);
    assert_eq!(brands.unwrap().brands.len(), 3, "the operator may nest domains");
}

#[test]
fn finds_the_hosts_in_an_invalid_brand_toml() {
    let dir = tempfile::tempdir().unwrap();
    let salvaged = |text: &str| {
        std::fs::write(dir.path().join("brand.toml"), text).unwrap();
        let (domains, is_default) = salvage_hosts(&FolderPath::root(dir.path()));
        (domains.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "), is_default)
    };
    let found = |domains: &str, is_default| (domains.to_owned(), is_default);
    assert_eq!(salvaged("domains = [\"a.ex\", \"\", 1]\nvariabels = 1\n"), found("a.ex", false));
    assert_eq!(salvaged("default = true\ndomains = [\"a.ex\"]\n= broken"), found("a.ex", true));
    assert_eq!(salvaged("domains = [\"a.ex\"]\n[[page]]\nx = [\n\n1,\n\n"), found("a.ex", false));
    assert_eq!(salvaged("domains = [\"a.ex\"]\nx = \"\"\"\n\n1\n"), found("a.ex", false));
    for nothing in ["domains = [", "domains = 1\ndefault = 2", "\u{0}", "domains = [\"a.ex\"\n"] {
        assert_eq!(salvaged(nothing), found("", false), "{nothing:?}");
    }
}

#[test]
fn developers_take_operators_settings_only_from_the_environment() {
    let dir = tempfile::tempdir().unwrap();
    let text = "[server]\nlisten = \"0.0.0.0:1\"\ndrain = \"1s\"\ntrusted_proxies = [\"10.0.0.0/8\"]\n\
                [admin]\nlisten = \"192.0.2.1:2\"\ntoken = \"0123456789abcdef\"\noperators = []\nhosts = [\"a\"]\n\
                probes = \"0.0.0.0:3\"\n[database]\nurl = \"postgres://elsewhere/x\"\n";
    std::fs::write(dir.path().join("sluice.toml"), text).unwrap();
    let read = |environment: &[(&str, &str)]| {
        let own = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        read_site_as(Reader::Developer, dir.path(), own).unwrap()
    };
    let config = read(&[]);
    let default = SiteConfig::default();
    assert_eq!(config.admin, default.admin);
    assert_eq!(config.database, default.database);
    assert_eq!(config.server.listen, default.server.listen);
    assert!(config.server.trusted_proxies.is_empty() && config.server.drain == Duration::from_secs(1));
    let ignored = [
        "server.listen",
        "server.trusted_proxies",
        "admin.listen",
        "admin.token",
        "admin.operators",
        "admin.hosts",
        "admin.probes",
        "database.url",
    ];
    assert_eq!(config.ignored, ignored);
    let given = read(&[("SLUICE_SERVER__LISTEN", "0.0.0.0:4"), ("SLUICE_DATABASE__URL", "postgres://own/x")]);
    assert_eq!((given.server.listen.port(), given.database.url.as_str()), (4, "postgres://own/x"));
    std::fs::write(dir.path().join("sluice.toml"), "[server]\nlisten = \"127.0.0.1:5\"\n").unwrap();
    let own = read(&[]);
    assert_eq!((own.server.listen.port(), own.ignored.is_empty()), (5, true));
    assert_eq!(read_site(dir.path(), std::iter::empty()).unwrap().server.listen.port(), 5);
}

#[test]
fn operators_have_names_tokens_and_roles() {
    let dir = tempfile::tempdir().unwrap();
    let read = |text: &str| {
        std::fs::write(dir.path().join("sluice.toml"), text).unwrap();
        read_site(dir.path(), std::iter::empty()).map(|config| config.admin.operators)
    };
    let found = read(
        "[[admin.operators]]\nname = \"ann\"\ntoken = \"the-token-of-ann\"\n\
         [[admin.operators]]\nname = \"bob\"\ntoken = \"the-token-of-bob\"\nrole = \"read\"\n",
    )
    .unwrap();
    assert_eq!(
        found.iter().map(|one| (one.name.as_str(), one.role)).collect::<Vec<_>>(),
        [("ann", AdminRole::Change), ("bob", AdminRole::Read)]
    );
    assert!(!format!("{found:?}").contains("the-token"), "{found:?}");
    let given = [("SLUICE_ADMIN__OPERATORS", "[{ name = \"cy\", token = \"the-token-of-cy\" }]")];
    let given = given.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(read_site(dir.path(), given.into_iter()).unwrap().admin.operators[0].name, "cy");
    // No mistake shows a token.
    for wrong in [
        "[admin]\noperators = [\"the-token-of-ann\"]\n",
        "[admin]\noperators = \"the-token-of-ann\"\n",
        "[admin]\noperators = [{ name = \"ann\", token = \"the-token-of-ann\", rol = \"read\" }]\n",
        "[admin]\noperators = [{ name = \"ann\", token = \"the-token-of-ann\", role = \"write\" }]\n",
        "[admin]\noperators = [{ name = \"ann\", token = \"the-token-of-ann }]\n",
        "[[admin.operators]]\nname = \"ann\"\ntoken = [\"the-token-of-ann\"]\n",
        "[[admin.operators]]\ntoken = \"the-token-of-ann\"\n",
        "[admin]\ntoken = \"the-token-of-ann\" x\n",
    ] {
        let error = read(wrong).unwrap_err().to_string();
        assert!(!error.contains("the-token-of"), "{wrong}: {error}");
        assert!(error.contains("sluice.toml"), "{error}");
    }
    let error = read("[[admin.operators]]\nname = \"ann\"\n").unwrap_err().to_string();
    assert!(error.contains("missing field `token`: each operator is"), "{error}");
}
