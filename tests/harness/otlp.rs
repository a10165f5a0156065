//! A receiver of OTLP over HTTP, which decodes what it receives. Another one reads everything
//! and never answers.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::metrics::v1::Metric;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;

/// Everything that was received.
#[derive(Debug, Default, Clone)]
pub(crate) struct Received {
    pub spans: Vec<Span>,
    pub metrics: Vec<Metric>,
    pub logs: Vec<LogRecord>,
    pub resources: Vec<Resource>,
    /// All bodies, undecoded and concatenated.
    pub raw: Vec<u8>,
}

pub(crate) struct OtlpReceiver {
    address: SocketAddr,
    received: Arc<Mutex<Received>>,
}

impl OtlpReceiver {
    pub(crate) fn start() -> Self {
        Self::listen(|received, connection| {
            std::thread::spawn(move || serve(connection, &received));
        })
    }

    /// Reads everything from all connections and never answers.
    pub(crate) fn stalled() -> Self {
        let kept = Mutex::new(Vec::new());
        Self::listen(move |_, connection| kept.lock().unwrap().push(connection))
    }

    fn listen(mut take: impl FnMut(Arc<Mutex<Received>>, TcpStream) + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let received = Arc::default();
        let shared = Arc::clone(&received);
        std::thread::spawn(move || {
            for connection in listener.incoming().map_while(Result::ok) {
                take(Arc::clone(&shared), connection);
            }
        });
        Self { address, received }
    }

    /// The value for `OTEL_EXPORTER_OTLP_ENDPOINT`.
    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn received(&self) -> Received {
        self.received.lock().unwrap().clone()
    }
}

fn serve(connection: TcpStream, received: &Mutex<Received>) {
    let mut reader = BufReader::new(connection.try_clone().unwrap());
    let mut writer = connection;
    loop {
        let mut head = Vec::new();
        while let Some(Ok(line)) =
            (&mut reader).lines().next().filter(|line| !matches!(line, Ok(line) if line.is_empty()))
        {
            head.push(line.to_ascii_lowercase());
        }
        let Some(first) = head.first() else { return };
        let length = head.iter().find_map(|line| line.strip_prefix("content-length:"));
        let mut body = vec![0; length.unwrap().trim().parse().unwrap()];
        reader.read_exact(&mut body).unwrap();
        assert!(head.contains(&"content-type: application/x-protobuf".to_owned()), "{head:?}");
        keep(first, &body, &mut received.lock().unwrap());
        if writer.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").is_err() {
            return;
        }
    }
}

fn keep(first: &str, body: &[u8], received: &mut Received) {
    received.raw.extend_from_slice(body);
    if first.starts_with("post /v1/traces ") {
        for resource in ExportTraceServiceRequest::decode(body).unwrap().resource_spans {
            received.resources.extend(resource.resource);
            received.spans.extend(resource.scope_spans.into_iter().flat_map(|scope| scope.spans));
        }
    } else if first.starts_with("post /v1/metrics ") {
        for resource in ExportMetricsServiceRequest::decode(body).unwrap().resource_metrics {
            received.metrics.extend(resource.scope_metrics.into_iter().flat_map(|scope| scope.metrics));
        }
    } else if first.starts_with("post /v1/logs ") {
        for resource in ExportLogsServiceRequest::decode(body).unwrap().resource_logs {
            received.logs.extend(resource.scope_logs.into_iter().flat_map(|scope| scope.log_records));
        }
    } else {
        panic!("{first}");
    }
}
