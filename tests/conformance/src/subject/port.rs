//! The calls of PortService about one sandbox, and requests to what is exposed.

use std::collections::BTreeMap;

use reqwest::{Client, Response};
use sandgate_proto::v1;

use super::{Place, QUICK};
use crate::failure::{Failure, broken};

impl Place<'_> {
    /// ExposePort.
    pub(crate) async fn expose(&self, port: u32) -> Result<v1::ExposePortResponse, Failure> {
        let mut request = v1::ExposePortRequest {
            port,
            ..Default::default()
        };
        self.fill(&mut request.session_id, &mut request.sandbox_id);
        let mut client = self.subject.ports();
        let call = |request| async move { client.expose_port(request).await };
        self.unary("ExposePort", QUICK, request, call).await
    }

    /// ListPorts.
    pub(crate) async fn ports(
        &self,
        page_size: u32,
        page_token: &str,
    ) -> Result<v1::ListPortsResponse, Failure> {
        let mut request = v1::ListPortsRequest {
            page_size,
            page_token: page_token.to_owned(),
            ..Default::default()
        };
        self.fill(&mut request.session_id, &mut request.sandbox_id);
        let mut client = self.subject.ports();
        let call = |request| async move { client.list_ports(request).await };
        self.unary("ListPorts", QUICK, request, call).await
    }

    /// All pages of ListPorts, of this size.
    pub(crate) async fn all_ports(&self, page_size: u32) -> Result<Vec<v1::ExposedPort>, Failure> {
        let (mut all, mut token) = (Vec::new(), String::new());
        loop {
            let page = self.ports(page_size, &token).await?;
            if page.ports.len() > page_size as usize {
                return Err(broken(format!(
                    "a page of ListPorts has {} ports, {page_size} were asked for",
                    page.ports.len()
                )));
            }
            all.extend(page.ports);
            token = page.next_page_token;
            if token.is_empty() {
                return Ok(all);
            }
        }
    }

    /// UnexposePort.
    pub(crate) async fn unexpose(&self, port: u32) -> Result<v1::UnexposePortResponse, Failure> {
        let mut request = v1::UnexposePortRequest {
            port,
            ..Default::default()
        };
        self.fill(&mut request.session_id, &mut request.sandbox_id);
        let mut client = self.subject.ports();
        let call = |request| async move { client.unexpose_port(request).await };
        self.unary("UnexposePort", QUICK, request, call).await
    }
}

/// What answers a GET at an address: status and body.
pub(crate) async fn fetched(
    url: &str,
    headers: &BTreeMap<String, String>,
) -> Result<(u16, String), Failure> {
    let client = client()?;
    let mut request = client.get(url);
    for (name, value) in headers {
        request = request.header(name, value);
    }
    let failed = |error: reqwest::Error| broken(format!("GET {url}: {}", error.without_url()));
    let answer: Response = request.send().await.map_err(failed)?;
    let status = answer.status().as_u16();
    Ok((status, answer.text().await.map_err(failed)?))
}

fn client() -> Result<Client, Failure> {
    sandgate_service::web::client().map_err(|error| broken(format!("no client for HTTP: {error}")))
}
