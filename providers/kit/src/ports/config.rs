//! How forwards of ports are configured.

use std::{
    net::{IpAddr, Ipv4Addr, TcpListener},
    str::FromStr,
    time::Duration,
};

use clap::Args;

/// Seconds that an address lives.
const LIFETIME: u64 = 3600;

/// Flags about addresses of ports; of providers whose upstream gives none itself.
#[derive(Args, Clone, Debug)]
pub struct PortArgs {
    /// Address that exposed ports listen on; off loopback everybody who reaches it reaches them
    #[arg(long, env = "SANDGATE_PORTS_ADDRESS", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST), value_name = "IP")]
    pub ports_address: IpAddr,
    /// Ports of this machine to take for them; by default any that are free
    #[arg(long, env = "SANDGATE_PORTS_RANGE", value_name = "FIRST-LAST")]
    pub ports_range: Option<PortRange>,
    /// Host that their URLs name; by default the address
    #[arg(long, env = "SANDGATE_PORTS_HOST", value_name = "NAME")]
    pub ports_host: Option<String>,
    /// Seconds that an address lives unless it is asked for again
    #[arg(long, env = "SANDGATE_PORTS_LIFETIME", default_value_t = LIFETIME,
          value_parser = clap::value_parser!(u64).range(1..=2_592_000), value_name = "SECONDS")]
    pub ports_lifetime: u64,
}

impl Default for PortArgs {
    fn default() -> Self {
        Self {
            ports_address: IpAddr::V4(Ipv4Addr::LOCALHOST),
            ports_range: None,
            ports_host: None,
            ports_lifetime: LIFETIME,
        }
    }
}

impl PortArgs {
    pub(crate) const fn lifetime(&self) -> Duration {
        Duration::from_secs(self.ports_lifetime)
    }

    /// Tries the address.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn check(&self) -> Result<(), String> {
        if let Some(fault) = self.fault() {
            return Err(fault.to_owned());
        }
        let tried = TcpListener::bind((self.ports_address, 0));
        tried.map(drop).map_err(|error| {
            format!(
                "SANDGATE_PORTS_ADDRESS={}: {error}; give an address of this machine",
                self.ports_address
            )
        })
    }

    /// What is wrong with them, if anything, beyond what each flag tells by itself.
    fn fault(&self) -> Option<&'static str> {
        if self.ports_address.is_unspecified() && self.ports_host.is_none() {
            return Some(
                "SANDGATE_PORTS_ADDRESS stands for all addresses of this machine, which nobody can be sent to: set SANDGATE_PORTS_HOST to the name that callers reach it by",
            );
        }
        let is_host = |host: &String| {
            let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte);
            !host.is_empty() && host.len() <= 253 && host.bytes().all(is_part)
        };
        if !self.ports_host.as_ref().is_none_or(is_host) {
            return Some(
                "SANDGATE_PORTS_HOST is a host name or an address, without scheme, port and path",
            );
        }
        None
    }
}

/// Ports from a first one to a last one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortRange {
    /// The first.
    pub first: u16,
    /// The last, not below it.
    pub last: u16,
}

impl FromStr for PortRange {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = "is FIRST-LAST, as in 20000-20999";
        let (first, last) = text.split_once('-').ok_or(wrong)?;
        let port = |text: &str| text.trim().parse::<u16>().map_err(|_| wrong);
        let (first, last) = (port(first)?, port(last)?);
        if first == 0 || last < first {
            return Err(wrong);
        }
        Ok(Self { first, last })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_has_a_first_and_a_last() {
        let range = "20000-20999".parse::<PortRange>().unwrap();
        assert_eq!((range.first, range.last), (20000, 20999));
        assert!("7-7".parse::<PortRange>().is_ok());
        for wrong in ["", "20000", "2-1", "0-5", "1-65536", "a-b", "1-2-3"] {
            assert!(wrong.parse::<PortRange>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_address_that_is_none_needs_a_name() {
        let mut args = PortArgs::default();
        assert_eq!(args.fault(), None);
        args.ports_address = Ipv4Addr::UNSPECIFIED.into();
        assert!(args.fault().is_some());
        for (host, good) in [
            ("apps.example.com", true),
            ("[::1]", true),
            ("http://x", false),
            ("x/y", false),
            ("", false),
            ("a b", false),
        ] {
            args.ports_host = Some(host.to_owned());
            assert_eq!(args.fault().is_none(), good, "{host}");
        }
    }
}
