//! One order at a certificate authority.

use std::sync::Arc;
use std::time::Duration;

use instant_acme::{
    Account, AccountCredentials, AuthorizationStatus, ChallengeType, Error, Identifier, NewAccount, NewOrder,
    Order, OrderStatus, RetryPolicy,
};
use rcgen::{CertificateParams, DistinguishedName, KeyPair};
use sluice_kit::StoreError;

use crate::answers::AGE_MAX;
use crate::failure::{Failure, Scope, Unmade, of_problem};
use crate::store::{Answer, CertificateStore, Challenge};
use crate::transport::{Authority, Transport};

/// The authority asks for an answer only after every host has read the answers again.
pub(crate) const ANSWER_READY: Duration = AGE_MAX.saturating_add(Duration::from_millis(200));
/// An answer is given for this long.
pub(crate) const ANSWER_MS: i64 = 10 * 60 * 1_000;
/// How long the authority may take for its checks, and for the certificate.
const POLLING: RetryPolicy = RetryPolicy::new()
    .initial_delay(Duration::from_millis(500))
    .backoff(1.5)
    .timeout(Duration::from_secs(90));

/// What the authority issued.
pub(crate) struct Ordered {
    /// In PEM.
    pub(crate) chain: String,
    /// In PKCS #8.
    pub(crate) key: Vec<u8>,
}

/// What hosts answer for one order.
struct Answering<'a> {
    store: &'a Arc<dyn CertificateStore>,
    challenge: Challenge,
    name: &'a str,
    expires_at: i64,
    /// What the authority asks for.
    asked: Vec<String>,
}

impl Answering<'_> {
    async fn give(&mut self, asked: String, value: Vec<u8>) -> Result<(), StoreError> {
        self.asked.push(asked.clone());
        let answer = Answer { challenge: self.challenge, asked, value, expires_at: self.expires_at };
        self.store.put_answer(answer).await
    }
}

/// An account at the authority, on a transport of its own.
pub(crate) struct Session {
    account: Account,
    transport: Transport,
}

impl Session {
    /// Uses an account again.
    pub(crate) async fn resume(
        authority: &Authority,
        credentials: AccountCredentials,
    ) -> Result<Self, Failure> {
        let transport = Transport::new(authority);
        let builder = Account::builder_with_http(Box::new(transport.clone()));
        let account = builder.from_credentials(credentials).await;
        Ok(Self { account: account.map_err(|error| of_authority(&error, &transport))?, transport })
    }

    /// Makes an account. Whoever uses an authority agrees to its terms.
    pub(crate) async fn register(
        authority: &Authority,
        directory: &str,
        contact: Option<&str>,
    ) -> Result<AccountCredentials, Failure> {
        let transport = Transport::new(authority);
        let mail = contact.map(|contact| format!("mailto:{contact}"));
        let contacts: Vec<&str> = mail.as_deref().into_iter().collect();
        let new =
            NewAccount { contact: &contacts, terms_of_service_agreed: true, only_return_existing: false };
        let builder = Account::builder_with_http(Box::new(transport.clone()));
        let made = builder.create(&new, directory.to_owned(), None).await;
        Ok(made.map_err(|error| of_authority(&error, &transport))?.1)
    }

    /// Orders a certificate for a name. `store` gets the answer while the authority asks.
    pub(crate) async fn order(
        &self,
        store: &Arc<dyn CertificateStore>,
        challenge: Challenge,
        name: &str,
        now_ms: i64,
    ) -> Result<Ordered, Unmade> {
        let identifiers = [Identifier::Dns(name.to_owned())];
        let ordered = self.account.new_order(&NewOrder::new(&identifiers)).await;
        let mut order = ordered.map_err(|error| self.failure(&error))?;
        let mut answers = Answering {
            store,
            challenge,
            name,
            expires_at: now_ms.saturating_add(ANSWER_MS),
            asked: Vec::new(),
        };
        let ready = match self.answer(&mut answers, &mut order).await {
            Ok(()) => self.wait_until_ready(challenge, &mut order).await.map_err(Unmade::from),
            Err(unmade) => Err(unmade),
        };
        for asked in answers.asked {
            // It expires by itself.
            let removed = store.remove_answer(challenge, &asked).await;
            removed.unwrap_or_else(|error| tracing::debug!(%error, "an answer was not removed"));
        }
        ready?;
        Ok(self.finalize(name, &mut order).await?)
    }

    /// Answers every challenge of an order.
    async fn answer(&self, answers: &mut Answering<'_>, order: &mut Order) -> Result<(), Unmade> {
        let kind = kind(answers.challenge);
        let mut authorizations = order.authorizations();
        while let Some(authorization) = authorizations.next().await {
            let mut authorization = authorization.map_err(|error| self.failure(&error))?;
            match authorization.status {
                AuthorizationStatus::Valid => continue,
                AuthorizationStatus::Pending => {}
                _ => return Err(Failure::of_name("an authorization of the order is not pending").into()),
            }
            let offered = authorization.challenge(kind.clone());
            let mut handle = offered.ok_or_else(|| {
                let name = answers.challenge.as_str();
                Failure::of_name(&format!(
                    "the certificate authority does not offer {name}: set acme.challenge"
                ))
            })?;
            let proof = handle.key_authorization();
            let (asked, value) = match answers.challenge {
                Challenge::Http01 => (handle.token.clone(), proof.as_str().as_bytes().to_vec()),
                Challenge::TlsAlpn01 => (answers.name.to_owned(), proof.digest().as_ref().to_vec()),
            };
            answers.give(asked, value).await?;
            tokio::time::sleep(ANSWER_READY).await;
            handle.set_ready().await.map_err(|error| self.failure(&error))?;
        }
        Ok(())
    }

    async fn wait_until_ready(&self, challenge: Challenge, order: &mut Order) -> Result<(), Failure> {
        if order.state().status == OrderStatus::Ready {
            return Ok(());
        }
        let failure = match order.poll_ready(&POLLING).await {
            Ok(OrderStatus::Ready) => return Ok(()),
            Ok(_) => Failure::of_name("the certificate authority did not accept the answer"),
            Err(error) => self.failure(&error),
        };
        if failure.scope != Scope::Name {
            return Err(failure);
        }
        Err(self.reason(challenge, order).await.unwrap_or(failure))
    }

    /// Why the authority did not accept the answer, which only the challenge says.
    async fn reason(&self, challenge: Challenge, order: &mut Order) -> Option<Failure> {
        let kind = kind(challenge);
        let mut authorizations = order.authorizations();
        while let Some(Ok(mut authorization)) = authorizations.next().await {
            let state = authorization.refresh().await.ok()?;
            let asked = state.challenges.iter().filter(|asked| asked.r#type == kind);
            if let Some(problem) = asked.filter_map(|asked| asked.error.as_ref()).next() {
                return Some(Failure::of_name(&of_problem(problem)));
            }
        }
        None
    }

    async fn finalize(&self, name: &str, order: &mut Order) -> Result<Ordered, Failure> {
        let made = request(name).map_err(|error| Failure::of_name(&error.to_string()))?;
        order.finalize_csr(&made.request).await.map_err(|error| self.failure(&error))?;
        let chain = order.poll_certificate(&POLLING).await.map_err(|error| self.failure(&error))?;
        Ok(Ordered { chain, key: made.key })
    }

    fn failure(&self, error: &Error) -> Failure {
        Failure::of(error, self.transport.seen())
    }
}

/// The request of a certificate, and the key that it is for.
struct CertificateRequest {
    request: Vec<u8>,
    key: Vec<u8>,
}

fn request(name: &str) -> Result<CertificateRequest, rcgen::Error> {
    let mut params = CertificateParams::new([name.to_owned()])?;
    params.distinguished_name = DistinguishedName::new();
    let key = KeyPair::generate()?;
    let request = params.serialize_request(&key)?.der().to_vec();
    Ok(CertificateRequest { request, key: key.serialize_der() })
}

/// What goes wrong before an order concerns every name.
fn of_authority(error: &Error, transport: &Transport) -> Failure {
    Failure { scope: Scope::Authority, ..Failure::of(error, transport.seen()) }
}

fn kind(challenge: Challenge) -> ChallengeType {
    match challenge {
        Challenge::Http01 => ChallengeType::Http01,
        Challenge::TlsAlpn01 => ChallengeType::TlsAlpn01,
    }
}
