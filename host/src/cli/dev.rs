//! `sluice dev`: serves a site for development.

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc::UnboundedReceiver;

use sluice_app::app::App;
use sluice_app::reload;
use sluice_author::dev::check::Checker;
use sluice_author::dev::{Dev, watch};
use sluice_journey::JourneyService;
use sluice_kit::terminal::announce;
use sluice_server::{self as server, Bound};
use sluice_site::config::{self, Reader, SiteConfig};
use sluice_site::places::Places;
use sluice_telemetry::Telemetry;
use sluice_text::printable::printable_lines;

use super::output::{Lines, Output};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The site's folder
    #[arg(default_value = ".")]
    site_dir: PathBuf,
    /// The address of the site [default: server.listen, or 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR", value_parser = super::address)]
    listen: Option<SocketAddr>,
    /// The address of the console [default: admin.listen, or 127.0.0.1:9090; another port if it is in use]
    #[arg(long, value_name = "ADDR", value_parser = super::address)]
    admin_listen: Option<SocketAddr>,
    /// The folder of the embedded database, the application key and other files, outside the site
    /// [default: the folder in SLUICE_DATABASE__URL or STATE_DIRECTORY, or one in ~/.local/state/sluice]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Answer to this host name or address, too, besides loopback names such as localhost and
    /// shop.localhost. Can be given several times
    #[arg(long = "host", value_name = "NAME")]
    hosts: Vec<String>,
    /// Open the site in your browser
    #[arg(long)]
    open: bool,
}

pub(crate) async fn run(args: Args, telemetry: Arc<Telemetry>, output: &Output) -> anyhow::Result<()> {
    let (sender, mut changes) = tokio::sync::mpsc::unbounded_channel();
    watch::watch(&args.site_dir, sender)?;
    let dev = Dev::new(output.quiet, own_hosts(&args));
    let Started { app, bound, config, took } = start(&args, &telemetry, &dev, &mut changes, output).await?;
    let running =
        server::start(Arc::clone(&app), bound, &config, &args.site_dir, Some(Arc::clone(&dev)), None).await?;
    // Scripts and tests read these lines to learn the ports.
    announce(&format!("sluice: serving on http://{}", running.address));
    announce(&format!("sluice: operators on http://{}", running.admin_address));
    announce(&format!("sluice: data in {}", app.places.data.path().display()));
    announce(&format!("sluice: watching {}; Ctrl-C stops", args.site_dir.join("brands").display()));
    dev.started(&app.live().site, took);
    if args.open {
        open_browser(&format!("http://{}", running.address));
    }
    let following = tokio::spawn(follow(app, dev, changes));
    let stopped = running.until_stopped().await;
    following.abort();
    Ok(stopped?)
}

/// The hosts that the command line names: those of `--host`, and the address of `--listen`.
fn own_hosts(args: &Args) -> Vec<String> {
    let listen = args.listen.map(|address| address.ip()).filter(|address| !address.is_unspecified());
    args.hosts.iter().cloned().chain(listen.map(|address| address.to_string())).collect()
}

/// A loaded site and its listeners.
struct Started {
    app: Arc<App>,
    bound: Bound,
    config: SiteConfig,
    took: Duration,
}

/// Loads the site. If a mistake prevents that, waits for a change and tries again.
async fn start(
    args: &Args,
    telemetry: &Arc<Telemetry>,
    dev: &Arc<Dev>,
    changes: &mut UnboundedReceiver<Vec<String>>,
    output: &Output,
) -> anyhow::Result<Started> {
    loop {
        let progress = output.progress(Lines::Plain);
        let started = Instant::now();
        let began = match settings(args) {
            Ok(config) => {
                // An address in use is an error at once: no change of the site would free it.
                let bound = Bound::new(&config)?;
                // So is a place of the operator's files that cannot be used.
                let places = Places::of(&args.site_dir, &config, args.data.as_deref())?;
                let telemetry = Arc::clone(telemetry);
                let app = App::start(
                    args.site_dir.clone(),
                    &config,
                    places,
                    telemetry,
                    progress.shared(),
                    Some(Dev::observer(dev)),
                    Arc::new(JourneyService::default()),
                );
                let started = app.await.map(|app| Started { app, bound, config, took: started.elapsed() });
                started.map_err(anyhow::Error::from)
            }
            Err(error) => Err(error),
        };
        drop(progress);
        let error = match began {
            Ok(started) => return Ok(started),
            Err(error) => error,
        };
        eprintln!("sluice: {}", printable_lines(&format!("{error:#}")));
        eprintln!("sluice: waiting for a change in {}", args.site_dir.display());
        tokio::select! {
            changed = changes.recv() => anyhow::ensure!(changed.is_some(), "watching the site has failed"),
            interrupted = tokio::signal::ctrl_c() => {
                interrupted?;
                anyhow::bail!("stopped before the site could be served");
            }
        }
    }
}

fn settings(args: &Args) -> anyhow::Result<SiteConfig> {
    let mut config = config::read_site_as(Reader::Developer, &args.site_dir, std::env::vars())?;
    for setting in &config.ignored {
        let variable = setting.replace('.', "__").to_uppercase();
        eprintln!(
            "sluice: {setting} in sluice.toml is not used by `sluice dev`, because a site can come from \
             somebody else: set SLUICE_{variable} instead"
        );
    }
    config.server.https = false;
    if let Some(listen) = args.listen {
        config.server.listen = listen;
    }
    match args.admin_listen {
        Some(listen) => config.admin.listen = listen,
        // `sluice dev` may be running for another site.
        None if TcpListener::bind(config.admin.listen).is_err() => config.admin.listen.set_port(0),
        None => {}
    }
    Ok(config)
}

/// Reloads and checks the site after each change.
async fn follow(app: Arc<App>, dev: Arc<Dev>, mut changes: UnboundedReceiver<Vec<String>>) {
    let mut checker = Checker::new(Arc::clone(&app), Arc::clone(&dev));
    checker.begin();
    while let Some(changed) = changes.recv().await {
        let started = Instant::now();
        match reload::reload(&app, reload::ReloadCause::Files).await {
            Ok(report) => {
                let live = app.live();
                dev.loaded(&changed, &app.site_dir, &live.site, &report, started.elapsed());
            }
            Err(error) => dev.not_loaded(&changed, &app.site_dir, &error),
        }
        checker.begin();
    }
}

fn open_browser(address: &str) {
    let program = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    let opened = Command::new(program).arg(address).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    if let Err(error) = opened {
        eprintln!("sluice: {program} cannot be started ({error}); open {address} yourself");
    }
}
