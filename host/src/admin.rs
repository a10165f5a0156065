//! The second listener: for operators, never for visitors.

mod probes;

use actix_web::web;

pub fn routes(config: &mut web::ServiceConfig) {
    probes::routes(config);
}
