//! The account at the certificate authority, which all hosts share.

use instant_acme::AccountCredentials;

use super::Keeper;
use crate::failure::Failure;
use crate::order::Session;
use crate::seal;

impl Keeper {
    /// A session of the stored account. Makes the account first if there is none.
    pub(super) async fn session(&self) -> Result<Session, Failure> {
        let options = &self.options;
        let stored =
            options.store.acme_account(&options.directory).await.map_err(|error| of_store(&error))?;
        if let Some(sealed) = &stored {
            match self.open_account(sealed) {
                Some(credentials) => return Session::resume(&options.authority, credentials).await,
                None => tracing::error!(
                    directory = options.directory,
                    "the account of the certificate authority was sealed with another application key: making a new one"
                ),
            }
        }
        let contact = options.contact.as_deref();
        let made = Session::register(&options.authority, &options.directory, contact).await?;
        let plain = serde_json::to_vec(&made).map_err(|error| Failure::of_authority(&error.to_string()))?;
        let sealed = seal::seal(&options.keys, &self.key(""), &plain);
        let sealed = sealed.map_err(|error| Failure::of_authority(&error.to_string()))?;
        let kept = options.store.replace_acme_account(&options.directory, stored, sealed).await;
        let kept = kept.map_err(|error| of_store(&error))?;
        let credentials = self.open_account(&kept);
        let credentials = credentials.ok_or_else(|| {
            Failure::of_authority(
                "another host stored an account that it sealed with another application key",
            )
        })?;
        tracing::info!(directory = options.directory, "there is an account at the certificate authority now");
        Session::resume(&options.authority, credentials).await
    }

    /// Forgets the stored account, because the authority does not know it.
    pub(super) async fn forget_account(&self) {
        let options = &self.options;
        let forgotten = async {
            if let Some(old) = options.store.acme_account(&options.directory).await? {
                options.store.replace_acme_account(&options.directory, Some(old), Vec::new()).await?;
            }
            Ok::<_, sluice_kit::StoreError>(())
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

fn of_store(error: &sluice_kit::StoreError) -> Failure {
    Failure::of_authority(&format!("its account cannot be read: {error}"))
}
