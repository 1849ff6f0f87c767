//! Addresses of ports: E2B gives every port of a sandbox a host name of its own.

use std::{collections::BTreeSet, time::Duration};

use sandgate_kit::{CallContext, Kind, PortAddress, ProviderError};
use sandgate_proto::Outcome;

use crate::{
    E2b,
    api::body::{Detail, State},
    envd::{Envd, PORT},
    fault::Fault,
    kept::Kept,
    provider::key,
};

/// The header that opens ports which not everybody may come to.
const TRAFFIC: &str = "e2b-traffic-access-token";
/// How long a look at what listens may take.
const WITHIN: Duration = Duration::from_secs(15);
/// Prints the ports that something listens on, in hexadecimal; 0A is the kernel's word for listening.
const SCRIPT: &str = r#"for table in /proc/net/tcp /proc/net/tcp6; do
    [ ! -r "$table" ] || while read -r _ local _ state _; do
        [ "$state" != 0A ] || echo "${local##*:}"
    done < "$table"
done"#;

impl E2b {
    /// The address of one port, or those of all that something listens on.
    pub(crate) async fn addresses_of(
        &self,
        context: &CallContext,
        port: Option<u16>,
    ) -> Result<Vec<PortAddress>, ProviderError> {
        let found = self.find(context).await?;
        if found.state != State::Running {
            return Err(ProviderError::new(
                Kind::NotRunning,
                "the sandbox is paused; resume it, or start it if it was stopped",
            ));
        }
        let kept = self.with_traffic(context, &found).await?;
        let id = &found.access.sandbox_id;
        let ports = match port {
            Some(port) => BTreeSet::from([port]),
            None => listening(self.envd(id, &kept).map_err(unseen)?).await?,
        };
        let address = |port| self.address(id, &kept, port);
        Ok(ports.into_iter().map(address).collect())
    }

    /// What is known of a sandbox, with the token of its ports if it has one. A look does not tell
    /// that: who did not hear it at the create asks again by a connect, which changes nothing but that
    /// E2B keeps what runs for a while longer.
    async fn with_traffic(
        &self,
        context: &CallContext,
        found: &Detail,
    ) -> Result<Kept, ProviderError> {
        let mut kept = self.kept(context);
        kept.take(&found.access);
        if kept.traffic.is_none() && found.is_closed() {
            let (key, id) = (key(context)?, &found.access.sandbox_id);
            let access = self.api.connect(key, id, self.config.timeout).await;
            kept.take(&access.map_err(Fault::harmless)?);
        }
        Ok(kept)
    }

    fn address(&self, id: &str, kept: &Kept, port: u16) -> PortAddress {
        let mut headers = Vec::new();
        let url = match self.config.sandbox_url.trim_end_matches('/') {
            "" => format!("https://{port}-{id}.{}", self.domain(kept)),
            url => {
                // As for envd: one address for all, told apart by headers.
                headers.push(("e2b-sandbox-id".to_owned(), id.into()));
                headers.push(("e2b-sandbox-port".to_owned(), port.to_string().into()));
                url.to_owned()
            }
        };
        if let Some(token) = &kept.traffic {
            headers.push((TRAFFIC.to_owned(), token.clone()));
        }
        PortAddress {
            port,
            url,
            headers,
            expire_time: None,
        }
    }
}

/// What listens in a sandbox, but for its daemon.
async fn listening(envd: Envd) -> Result<BTreeSet<u16>, ProviderError> {
    let ran = envd.run("/bin/sh", &["-c", SCRIPT], WITHIN).await;
    let ran = ran.map_err(unseen)?;
    Ok(ports(&ran.stdout))
}

/// The sandbox's own word; what is no port is left out.
fn ports(said: &[u8]) -> BTreeSet<u16> {
    let said = String::from_utf8_lossy(said);
    let ports = said
        .lines()
        .filter_map(|line| u16::from_str_radix(line, 16).ok());
    ports.filter(|port| ![0, PORT].contains(port)).collect()
}

fn unseen(fault: crate::envd::EnvdFault) -> ProviderError {
    let message = "E2B does not say what listens in the sandbox; repeat the call";
    fault.told(Outcome::Rejected, message)
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;
    use crate::Config;

    fn address(sandbox_url: &str, kept: &Kept) -> (String, Vec<(String, String)>) {
        let config = Config {
            sandbox_url: sandbox_url.to_owned(),
            ..Config::default()
        };
        let address = E2b::new(config).unwrap().address("i1", kept, 3000);
        let plain = |(name, value): (String, secrecy::SecretString)| {
            (name, value.expose_secret().to_owned())
        };
        let headers = address.headers.into_iter().map(plain);
        (address.url, headers.collect())
    }

    #[test]
    fn an_address_is_a_host_name_or_what_is_configured() {
        let mut kept = Kept::default();
        let (url, headers) = address("", &kept);
        assert_eq!(url, "https://3000-i1.e2b.app");
        assert!(headers.is_empty());
        kept.domain = "example.dev".to_owned();
        kept.traffic = Some("t".into());
        let (url, headers) = address("", &kept);
        assert_eq!(url, "https://3000-i1.example.dev");
        let of = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(headers, [of(TRAFFIC, "t")]);
        let (url, headers) = address("http://h:1/", &kept);
        assert_eq!(url, "http://h:1");
        let wanted = [
            of("e2b-sandbox-id", "i1"),
            of("e2b-sandbox-port", "3000"),
            of(TRAFFIC, "t"),
        ];
        assert_eq!(headers, wanted);
    }

    #[test]
    fn what_listens_is_read_with_care() {
        let said = b"1F90\n0050\nC33F\n1F90\nzz\n-1\n12345\n0000\n";
        assert_eq!(ports(said), BTreeSet::from([80, 8080]));
    }
}
