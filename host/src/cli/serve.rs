//! `sluice serve`: serves a site to visitors.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use sluice_app::app::App;
use sluice_author::behind::Behind;
use sluice_journey::JourneyService;
use sluice_kit::terminal::announce;
use sluice_server::{self as server, Bound};
use sluice_site::config;
use sluice_site::places::Places;
use sluice_telemetry::Telemetry;

use super::output::{Lines, Output};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The site's folder
    #[arg(default_value = ".")]
    site_dir: PathBuf,
    /// The address for visitors [default: server.listen, or 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR", value_parser = super::address)]
    listen: Option<SocketAddr>,
    /// The address for operators [default: admin.listen, or 127.0.0.1:9090]
    #[arg(long, value_name = "ADDR", value_parser = super::address)]
    admin_listen: Option<SocketAddr>,
    /// The folder of the embedded database, the application key and other files, outside the site
    /// [default: the folder in SLUICE_DATABASE__URL or STATE_DIRECTORY, or one in ~/.local/state/sluice]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

pub(crate) async fn run(args: Args, telemetry: Arc<Telemetry>, output: &Output) -> anyhow::Result<()> {
    let mut config = config::read_site(&args.site_dir, std::env::vars())?;
    if let Some(listen) = args.listen {
        config.server.listen = listen;
    }
    if let Some(listen) = args.admin_listen {
        config.admin.listen = listen;
    }
    let places = Places::of(&args.site_dir, &config, args.data.as_deref())?;
    let progress = output.progress(Lines::Log);
    let service = Arc::new(JourneyService::default());
    let behind = Behind::of(&config.brands);
    let observer = behind.as_ref().map(Behind::observer);
    let app =
        App::start(args.site_dir.clone(), &config, places, telemetry, progress.shared(), observer, service)
            .await?;
    drop(progress);
    // Listen only now: monitors take a server that accepts connections for ready.
    let bound = Bound::new(&config)?;
    let running = server::start(app, bound, &config, &args.site_dir, None, behind).await?;
    // Scripts and tests read these lines to learn the ports.
    let scheme = if running.is_https { "https" } else { "http" };
    announce(&format!("sluice: serving on {scheme}://{}", running.address));
    announce(&format!("sluice: operators on http://{}", running.admin_address));
    if let Some(address) = running.redirect_address {
        announce(&format!("sluice: redirecting to https from http://{address}"));
    }
    Ok(running.until_stopped().await?)
}
