//! Handoff tokens. A token carries the logged-in customer to another domain of the brand. It
//! works once, and only for minutes.
//!
//! A token is `v1.` followed by a sealed box in base64url without padding; see [`keys`]. The
//! salt is the brand's id. The box contains JSON: `jti` (UUIDv4), `brand`, `iat`, `exp` (Unix
//! seconds), `email`, `customer_id`, `customer`.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use sluice_kit::StoreError;
use sluice_kit::keys::{self, KeyError, Keys};

use super::Identity;
use super::customer::email_owner;
use crate::{TokenStore, UsedToken};

const PREFIX: &str = "v1.";
const TTL_S_MAX: i64 = 600;
const TTL_S_DEFAULT: f64 = 60.0;
/// Longer tokens are rejected before they are decrypted.
const TOKEN_BYTES_MAX: usize = 6 << 10;
/// The largest JSON text that a token may contain.
const PAYLOAD_BYTES_MAX: usize = 4 << 10;
/// A used token is remembered this much longer than it is valid, because the clocks of two
/// hosts may differ.
const CLOCK_SKEW_MS: i64 = 10 * 60 * 1000;

/// Why a token was not made or not accepted. The text is for the author.
#[derive(Debug, thiserror::Error)]
pub enum HandoffRefusal {
    /// There is no customer to make a token for.
    #[error("nobody is logged in")]
    Anonymous,
    /// The JSON text has this many bytes.
    #[error("the customer needs {0} bytes; a token holds {PAYLOAD_BYTES_MAX}")]
    TooLarge(usize),
    /// The token is malformed, was changed, or belongs to another brand.
    #[error("the token does not belong to this site")]
    Foreign,
    /// The token is too old.
    #[error("the token has expired")]
    Expired,
    /// The token was taken before, on any host.
    #[error("the token was used before")]
    Used,
    /// The token is genuine, but its customer is malformed.
    #[error("the token's customer is not valid")]
    Customer,
    /// The run reached its limit of tokens, which is this number.
    #[error("the run already made and took {0} tokens, which is the limit")]
    TooMany(u32),
    /// The system gave no random bytes.
    #[error("the token could not be made: {0}")]
    NoRandomBytes(#[from] getrandom::Error),
    /// The customer could not be written as JSON.
    #[error("the token could not be made: {0}")]
    Encode(#[from] serde_json::Error),
    /// The token could not be sealed.
    #[error("the token could not be made: {0}")]
    Seal(#[from] KeyError),
    /// The database did not say whether the token was used.
    #[error(transparent)]
    Store(#[from] StoreError),
}

#[derive(Serialize, Deserialize)]
struct Payload {
    jti: String,
    brand: String,
    iat: i64,
    exp: i64,
    email: String,
    customer_id: Value,
    customer: Value,
}

/// The customer of a token. [`Session::hand_over`](crate::Session::hand_over) logs the customer in.
#[derive(Debug, Clone, PartialEq)]
pub struct HandedOver {
    /// The customer.
    pub identity: Identity,
    /// The token, which is used up when the login is saved.
    pub token: UsedToken,
}

/// Makes and takes the tokens of one brand.
#[derive(Clone)]
pub struct Handoff {
    /// The keys that seal and open tokens.
    pub keys: Arc<Keys>,
    /// The used tokens.
    pub tokens: Arc<dyn TokenStore>,
    /// The brand's id.
    pub brand: String,
}

impl Handoff {
    /// Makes a token for `identity` that is valid for `ttl_s` seconds, clamped to 1 to 600.
    /// NaN means 60.
    ///
    /// # Errors
    /// The customer is too large for a token, or the system gives no random bytes.
    pub fn token(&self, identity: &Identity, ttl_s: f64, now_ms: i64) -> Result<String, HandoffRefusal> {
        let iat = now_ms.div_euclid(1000);
        let payload = Payload {
            jti: uuid_v4()?,
            brand: self.brand.clone(),
            iat,
            exp: iat.saturating_add(whole_seconds(ttl_s)),
            email: identity.email.clone(),
            customer_id: identity.customer_id.clone().into(),
            customer: identity.customer.clone(),
        };
        let text = serde_json::to_vec(&payload)?;
        if text.len() > PAYLOAD_BYTES_MAX {
            return Err(HandoffRefusal::TooLarge(text.len()));
        }
        let sealed = self.keys.seal(keys::HANDOFF_TOKEN, self.brand.as_bytes(), b"", &text)?;
        Ok(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(sealed)))
    }

    /// Opens a token that was not used yet, and returns its customer. The token is recorded as
    /// used in the transaction that saves the login: so it works again if that fails, and of
    /// several requests at once only one can commit.
    ///
    /// # Errors
    /// The token is not valid, or the database did not answer.
    pub async fn take(&self, token: &str, now_ms: i64) -> Result<HandedOver, HandoffRefusal> {
        let payload = self.open(token).ok_or(HandoffRefusal::Foreign)?;
        let lifetime = payload.exp.checked_sub(payload.iat).ok_or(HandoffRefusal::Foreign)?;
        if payload.brand != self.brand || !(0..=TTL_S_MAX).contains(&lifetime) {
            return Err(HandoffRefusal::Foreign);
        }
        let expires_at_ms = payload.exp.checked_mul(1000).ok_or(HandoffRefusal::Foreign)?;
        if expires_at_ms <= now_ms {
            return Err(HandoffRefusal::Expired);
        }
        let token_id = uuid_bytes(&payload.jti).ok_or(HandoffRefusal::Foreign)?;
        let identity = payload.identity().ok_or(HandoffRefusal::Customer)?;
        if self.tokens.is_token_used(&self.brand, token_id).await? {
            return Err(HandoffRefusal::Used);
        }
        let remember_until = expires_at_ms.saturating_add(CLOCK_SKEW_MS);
        Ok(HandedOver { identity, token: UsedToken { token_id, remember_until } })
    }

    fn open(&self, token: &str) -> Option<Payload> {
        if token.len() > TOKEN_BYTES_MAX {
            return None;
        }
        let sealed = URL_SAFE_NO_PAD.decode(token.strip_prefix(PREFIX)?).ok()?;
        let text = self.keys.open(keys::HANDOFF_TOKEN, self.brand.as_bytes(), b"", &sealed)?;
        serde_json::from_slice(&text).ok()
    }
}

impl Payload {
    fn identity(self) -> Option<Identity> {
        let customer_id = match self.customer_id {
            Value::String(id) if !id.is_empty() => id,
            Value::Number(id) => ryu_js::Buffer::new().format(id.as_f64()?).to_owned(),
            Value::Null => email_owner(&self.email),
            _ => return None,
        };
        let mut customer = match self.customer {
            Value::Object(customer) => customer,
            Value::Null => serde_json::Map::new(),
            _ => return None,
        };
        customer.entry("email").or_insert_with(|| self.email.clone().into());
        self.email.contains('@').then(|| Identity {
            email: self.email,
            customer_id,
            customer: Value::Object(customer),
        })
    }
}

fn whole_seconds(ttl_s: f64) -> i64 {
    let ttl_s = if ttl_s.is_nan() { TTL_S_DEFAULT } else { ttl_s };
    ttl_s.clamp(1.0, TTL_S_MAX as f64) as i64
}

fn uuid_v4() -> Result<String, getrandom::Error> {
    let mut bytes = [0u8; 16];
    getrandom::fill(&mut bytes)?;
    let number = u128::from_be_bytes(bytes) & !(0xf << 76) & !(0x3 << 62) | (0x4 << 76) | (0x2 << 62);
    let hex = format!("{number:032x}");
    let parts = [hex.get(..8), hex.get(8..12), hex.get(12..16), hex.get(16..20), hex.get(20..)];
    Ok(parts.into_iter().flatten().collect::<Vec<_>>().join("-"))
}

fn uuid_bytes(text: &str) -> Option<[u8; 16]> {
    let hex: String = text.chars().filter(|c| *c != '-').collect();
    let plain = hex.len() == 32 && hex.bytes().all(|byte| byte.is_ascii_hexdigit());
    if plain { u128::from_str_radix(&hex, 16).ok().map(u128::to_be_bytes) } else { None }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use std::collections::HashSet;

    use parking_lot::Mutex;
    use sluice_kit::BoxFuture;

    const NOW: i64 = 1_700_000_000_500;
    const KEY: &str = "base64:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

    /// Keeps used tokens in memory.
    #[derive(Default)]
    struct UsedTokens(Mutex<HashSet<(String, [u8; 16])>>);

    impl TokenStore for UsedTokens {
        fn is_token_used(&self, brand: &str, token_id: [u8; 16]) -> BoxFuture<'_, Result<bool, StoreError>> {
            let is_used = self.0.lock().contains(&(brand.to_owned(), token_id));
            Box::pin(async move { Ok(is_used) })
        }

        fn delete_expired_tokens(&self, _: i64, _: u32) -> BoxFuture<'_, Result<u32, StoreError>> {
            Box::pin(async { Ok(0) })
        }
    }

    fn handoff(brand: &str) -> Handoff {
        handoff_on(brand, &Arc::default())
    }

    fn handoff_on(brand: &str, tokens: &Arc<UsedTokens>) -> Handoff {
        let keys = Arc::new(Keys::load(Some(KEY), None, None).unwrap());
        Handoff { keys, tokens: Arc::clone(tokens) as _, brand: brand.into() }
    }

    fn ann() -> Identity {
        Identity {
            email: "ann@example.com".into(),
            customer_id: "7".into(),
            customer: json!({"email": "ann@example.com", "id": 7, "name": "Ann"}),
        }
    }

    fn sealed(handoff: &Handoff, payload: &Value) -> String {
        let text = payload.to_string();
        let sealed =
            handoff.keys.seal(keys::HANDOFF_TOKEN, handoff.brand.as_bytes(), b"", text.as_bytes()).unwrap();
        format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(sealed))
    }

    fn payload() -> Value {
        let iat = NOW / 1000;
        json!({"jti": uuid_v4().unwrap(), "brand": "a", "iat": iat, "exp": iat + 60,
               "email": "ann@example.com", "customer_id": "7", "customer": {"name": "Ann"}})
    }

    #[tokio::test]
    async fn rejects_a_token_that_the_database_knows_as_used() {
        let used = Arc::<UsedTokens>::default();
        let handoff = handoff_on("a", &used);
        let token = handoff.token(&ann(), 60.0, NOW).unwrap();
        let handed = handoff.take(&token, NOW).await.unwrap();
        assert_eq!(handed.identity, ann());
        assert_eq!(handed.token.remember_until, (NOW / 1000 + 60) * 1000 + CLOCK_SKEW_MS);
        assert_eq!(handoff.take(&token, NOW).await.unwrap(), handed, "nothing was committed");
        used.0.lock().insert(("a".to_owned(), handed.token.token_id));
        assert!(matches!(handoff.take(&token, NOW).await, Err(HandoffRefusal::Used)));
    }

    #[tokio::test]
    async fn clamps_the_lifetime() {
        let handoff = handoff("a");
        for (ttl_s, seconds) in
            [(60.0, 60), (0.0, 1), (-5.0, 1), (1e9, 600), (f64::NAN, 60), (f64::INFINITY, 600), (2.9, 2)]
        {
            let token = || handoff.token(&ann(), ttl_s, NOW).unwrap();
            let end = (NOW / 1000 + seconds) * 1000;
            assert!(handoff.take(&token(), end - 1).await.is_ok(), "{ttl_s}");
            assert!(matches!(handoff.take(&token(), end).await, Err(HandoffRefusal::Expired)), "{ttl_s}");
        }
    }

    #[tokio::test]
    async fn rejects_changed_tokens_and_those_of_other_brands() {
        let handoff = handoff("a");
        let token = handoff.token(&ann(), 60.0, NOW).unwrap();
        let other = Handoff { brand: "b".into(), ..handoff.clone() };
        assert!(matches!(other.take(&token, NOW).await, Err(HandoffRefusal::Foreign)));
        let mut wrong = vec![String::new(), "v1.".into(), token.replacen("v1", "v2", 1), format!("{token}=")];
        wrong.extend((0..token.len()).step_by(7).map(|end| token[..end].to_owned()));
        wrong.extend((3..token.len()).step_by(5).map(|at| {
            let flipped = if token.as_bytes()[at] == b'A' { "B" } else { "A" };
            format!("{}{flipped}{}", &token[..at], &token[at + 1..])
        }));
        wrong.push(format!("v1.{}", "A".repeat(TOKEN_BYTES_MAX)));
        for token in wrong {
            assert!(matches!(handoff.take(&token, NOW).await, Err(HandoffRefusal::Foreign)), "{token}");
        }
        assert!(handoff.take(&token, NOW).await.is_ok(), "none of these counted as its use");
    }

    #[tokio::test]
    async fn checks_every_claim() {
        let handoff = handoff("a");
        assert!(handoff.take(&sealed(&handoff, &payload()), NOW).await.is_ok());
        let iat = NOW / 1000;
        for (claim, value) in [
            ("brand", json!("b")),
            ("exp", json!(iat + 601)),
            ("exp", json!(i64::MAX)),
            ("iat", json!(i64::MIN)),
            ("iat", json!(iat + 61)),
            ("exp", json!("soon")),
            ("jti", json!("not-a-uuid")),
            ("jti", json!("+0000000-0000-0000-0000-000000000000")),
            ("email", json!("nobody")),
            ("email", json!(null)),
            ("customer_id", json!({})),
            ("customer", json!("Ann")),
        ] {
            let mut changed = payload();
            changed[claim] = value.clone();
            assert!(handoff.take(&sealed(&handoff, &changed), NOW).await.is_err(), "{claim} {value}");
        }
    }

    #[tokio::test]
    async fn derives_missing_claims() {
        let handoff = handoff("a");
        let mut sparse = payload();
        (sparse["customer_id"], sparse["customer"]) = (Value::Null, Value::Null);
        let HandedOver { identity, .. } = handoff.take(&sealed(&handoff, &sparse), NOW).await.unwrap();
        assert_eq!(identity.customer_id, "email:ann@example.com");
        assert_eq!(identity.customer, json!({"email": "ann@example.com"}));
        let mut number = payload();
        number["customer_id"] = json!(12);
        let handed = handoff.take(&sealed(&handoff, &number), NOW).await.unwrap();
        assert_eq!(handed.identity.customer_id, "12");
    }

    #[tokio::test]
    async fn rejects_customer_over_the_limit() {
        let handoff = handoff("a");
        let with = |bytes: usize| {
            let mut who = ann();
            who.customer = json!({ "note": "x".repeat(bytes) });
            handoff.token(&who, 60.0, NOW)
        };
        let overhead = match with(PAYLOAD_BYTES_MAX) {
            Err(HandoffRefusal::TooLarge(bytes)) => bytes - PAYLOAD_BYTES_MAX,
            other => panic!("{other:?}"),
        };
        let token = with(PAYLOAD_BYTES_MAX - overhead).unwrap();
        assert!(token.len() <= TOKEN_BYTES_MAX);
        assert!(handoff.take(&token, NOW).await.is_ok(), "just under");
        assert!(matches!(with(PAYLOAD_BYTES_MAX - overhead + 1), Err(HandoffRefusal::TooLarge(4097))));
    }
}
