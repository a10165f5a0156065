use rquickjs::prelude::Func;
use rquickjs::{Object, Result};

use crate::sluice::page::secrets;

pub fn install(host: &Object<'_>) -> Result<()> {
    host.set("secretsGet", Func::from(|name: String| secrets::get(&name)))
}
