//! Hashes and random bytes. They are computed inside the sandbox, so the script's fuel pays for them.

use hmac::{Hmac, Mac};
use rquickjs::prelude::Func;
use rquickjs::{ArrayBuffer, Ctx, Exception, Object, Result, TypedArray};
use sha2::{Digest, Sha256, Sha384, Sha512};

type Bytes<'js> = TypedArray<'js, u8>;

pub fn install(host: &Object<'_>) -> Result<()> {
    host.set("randomBytes", Func::from(random_bytes))?;
    host.set("digest", Func::from(digest))?;
    host.set("hmacSign", Func::from(hmac_sign))?;
    host.set("hmacVerify", Func::from(hmac_verify))
}

fn random_bytes(ctx: Ctx<'_>, count: usize) -> Result<ArrayBuffer<'_>> {
    let mut bytes = vec![0u8; count];
    getrandom::fill(&mut bytes).map_err(|_| Exception::throw_message(&ctx, "no random numbers"))?;
    ArrayBuffer::new(ctx, bytes)
}

fn digest<'js>(ctx: Ctx<'js>, hash: String, data: Bytes<'js>) -> Result<ArrayBuffer<'js>> {
    let data = bytes(&ctx, &data)?;
    let digest = match hash.as_str() {
        "SHA-256" => Sha256::digest(data).to_vec(),
        "SHA-384" => Sha384::digest(data).to_vec(),
        _ => Sha512::digest(data).to_vec(),
    };
    ArrayBuffer::new(ctx, digest)
}

fn hmac_sign<'js>(
    ctx: Ctx<'js>,
    hash: String,
    key: Bytes<'js>,
    data: Bytes<'js>,
) -> Result<ArrayBuffer<'js>> {
    let (key, data) = (bytes(&ctx, &key)?, bytes(&ctx, &data)?);
    let signature = match hash.as_str() {
        "SHA-256" => keyed::<Hmac<Sha256>>(&ctx, key, data)?.finalize().into_bytes().to_vec(),
        "SHA-384" => keyed::<Hmac<Sha384>>(&ctx, key, data)?.finalize().into_bytes().to_vec(),
        _ => keyed::<Hmac<Sha512>>(&ctx, key, data)?.finalize().into_bytes().to_vec(),
    };
    ArrayBuffer::new(ctx, signature)
}

/// Compares in constant time.
fn hmac_verify<'js>(
    ctx: Ctx<'js>,
    hash: String,
    key: Bytes<'js>,
    signature: Bytes<'js>,
    data: Bytes<'js>,
) -> Result<bool> {
    let (key, data, signature) = (bytes(&ctx, &key)?, bytes(&ctx, &data)?, bytes(&ctx, &signature)?);
    Ok(match hash.as_str() {
        "SHA-256" => keyed::<Hmac<Sha256>>(&ctx, key, data)?.verify_slice(signature).is_ok(),
        "SHA-384" => keyed::<Hmac<Sha384>>(&ctx, key, data)?.verify_slice(signature).is_ok(),
        _ => keyed::<Hmac<Sha512>>(&ctx, key, data)?.verify_slice(signature).is_ok(),
    })
}

fn keyed<M: Mac + hmac::digest::KeyInit>(ctx: &Ctx<'_>, key: &[u8], data: &[u8]) -> Result<M> {
    let mac = <M as Mac>::new_from_slice(key);
    let mut mac = mac.map_err(|_| Exception::throw_message(ctx, "a key of this length is not possible"))?;
    mac.update(data);
    Ok(mac)
}

fn bytes<'a>(ctx: &Ctx<'_>, array: &'a Bytes<'_>) -> Result<&'a [u8]> {
    array.as_bytes().ok_or_else(|| Exception::throw_type(ctx, "the buffer is detached"))
}
