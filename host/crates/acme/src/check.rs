//! Checks that a name reaches a host of this database, before an order. Each failed order counts toward the
//! limits of the certificate authority, which all brands share.

use std::sync::Arc;
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_rustls::TlsConnector;

use crate::alpn::ACME_PROTOCOL;
use crate::answers::HTTP_PATH;
use crate::net::Net;

/// How long a check may take.
const CHECK_MAX: Duration = Duration::from_secs(15);
/// The most that is read of a response, in bytes.
const RESPONSE_BYTES_MAX: u64 = 16 << 10;

/// Asks a name for a token. Returns what is wrong if the answer is not `expected`.
pub(crate) async fn over_http(net: &Net, name: &str, token: &str, expected: &str) -> Result<(), String> {
    let port = net.http_port;
    let asking = async {
        let mut stream = net.connect(name, port).await?;
        let request = format!(
            "GET {HTTP_PATH}{token} HTTP/1.1\r\nHost: {name}\r\nUser-Agent: Sluice\r\n\
             Accept: */*\r\nConnection: close\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await?;
        let mut response = Vec::new();
        stream.take(RESPONSE_BYTES_MAX).read_to_end(&mut response).await?;
        Ok::<_, std::io::Error>(String::from_utf8_lossy(&response).into_owned())
    };
    let response = tokio::time::timeout(CHECK_MAX, asking).await;
    let response = response
        .map_err(|_| format!("port {port} did not answer"))?
        .map_err(|error| format!("port {port}: {error}"))?;
    // Nobody else knows the answer, so how it is framed does not matter.
    match response.contains(expected) {
        true => Ok(()),
        false => Err(format!("another server answers at port {port} ({})", status(&response))),
    }
}

/// The status of a response, for people.
fn status(response: &str) -> String {
    let status = response.split(' ').nth(1).unwrap_or_default();
    match status.len() == 3 && status.bytes().all(|byte| byte.is_ascii_digit()) {
        true => format!("status {status}"),
        false => "it does not speak HTTP".to_owned(),
    }
}

/// Makes a handshake for a name. Returns what is wrong if the certificate does not contain `expected`.
pub(crate) async fn over_tls(net: &Net, name: &str, expected: &[u8; 32]) -> Result<(), String> {
    let port = net.tls_port;
    let server = ServerName::try_from(name.to_owned()).map_err(|_| "it is not a host name".to_owned())?;
    let config = config().map_err(|error| error.to_string())?;
    let shaking = async {
        let stream = net.connect(name, port).await?;
        let secured = TlsConnector::from(config).connect(server, stream).await?;
        let certificates = secured.get_ref().1.peer_certificates().unwrap_or_default();
        let own = certificates.first().map(|own| own.to_vec());
        Ok::<_, std::io::Error>(own.unwrap_or_default())
    };
    let certificate = tokio::time::timeout(CHECK_MAX, shaking).await;
    let certificate = certificate
        .map_err(|_| format!("port {port} did not answer"))?
        .map_err(|error| format!("port {port}: {error}"))?;
    match certificate.windows(expected.len()).any(|bytes| bytes == expected) {
        true => Ok(()),
        false => Err(format!("another server answers at port {port}")),
    }
}

fn config() -> Result<Arc<ClientConfig>, Error> {
    let provider = Arc::new(ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
        .with_no_client_auth();
    config.alpn_protocols = vec![ACME_PROTOCOL.to_vec()];
    Ok(Arc::new(config))
}

/// Accepts any certificate: that of a challenge has no authority, and its digest is what counts.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
