//! The account at the certificate authority, which all hosts share.

use std::time::Duration;

use instant_acme::AccountCredentials;

use sluice_kit::StoreError;

use super::Keeper;
use crate::failure::{Failure, Unmade};
use crate::order::Session;
use crate::seal;
use crate::store::Pause;

/// After this time, another host can take over from one that was killed while it made the account.
const LEASE_MS: i64 = 60_000;
/// How often, and how many times, a host looks for the account that another one is making.
const LOOK_EVERY: Duration = Duration::from_millis(500);
const LOOKS_MAX: u32 = 20;

impl Keeper {
    /// A session of the stored account. If there is none, one host makes it, and the others wait for it.
    pub(super) async fn session(&self) -> Result<Session, Unmade> {
        let options = &self.options;
        if let Some(credentials) = self.account().await? {
            return Ok(Session::resume(&options.authority, credentials).await?);
        }
        let _making = self.making_account.lock().await;
        for _ in 0..LOOKS_MAX {
            // Another task or host may have made it meanwhile.
            if let Some(credentials) = self.account().await? {
                return Ok(Session::resume(&options.authority, credentials).await?);
            }
            if self.lease("", LEASE_MS, None, Pause::default()).await? {
                let made = self.make_account().await;
                self.release("").await;
                return Ok(Session::resume(&options.authority, made?).await?);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Err(Unmade::Busy)
    }

    /// The stored account, if this host can use it.
    async fn account(&self) -> Result<Option<AccountCredentials>, StoreError> {
        let stored = self.options.store.acme_account(&self.options.directory).await?;
        Ok(stored.and_then(|sealed| self.open_account(&sealed)))
    }

    async fn make_account(&self) -> Result<AccountCredentials, Unmade> {
        let options = &self.options;
        let stored = options.store.acme_account(&options.directory).await?;
        // An empty one was forgotten.
        if stored.as_ref().is_some_and(|sealed| !sealed.is_empty()) {
            tracing::error!(
                directory = options.directory,
                "the account of the certificate authority was sealed with another application key: making a new one"
            );
        }
        let contact = options.contact.as_deref();
        let made = Session::register(&options.authority, &options.directory, contact).await?;
        let plain = serde_json::to_vec(&made).map_err(|error| Failure::of_authority(&error.to_string()))?;
        let sealed = seal::seal(&options.keys, &self.key(""), &plain);
        let sealed = sealed.map_err(|error| Failure::of_authority(&error.to_string()))?;
        let kept = options.store.replace_acme_account(&options.directory, stored, sealed).await?;
        tracing::info!(directory = options.directory, "there is an account at the certificate authority now");
        self.open_account(&kept).ok_or_else(|| {
            let other = "another host stored an account that it sealed with another application key";
            Failure::of_authority(other).into()
        })
    }

    /// Forgets the stored account, because the authority does not know it.
    pub(super) async fn forget_account(&self) {
        let options = &self.options;
        let forgotten = async {
            if let Some(old) = options.store.acme_account(&options.directory).await? {
                options.store.replace_acme_account(&options.directory, Some(old), Vec::new()).await?;
            }
            Ok::<_, StoreError>(())
        };
        if let Err(error) = forgotten.await {
            tracing::warn!(%error, "the account of the certificate authority was not forgotten");
        }
    }

    fn open_account(&self, sealed: &[u8]) -> Option<AccountCredentials> {
        let plain = seal::open(&self.options.keys, &self.key(""), sealed)?;
        serde_json::from_slice(&plain).ok()
    }
}
