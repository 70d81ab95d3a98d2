//! Addresses as people write them: with the name of their zone, or with a host name.

use std::{
    fmt::{self, Display, Formatter},
    io,
    net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6},
    str::FromStr,
};

use rustix::net::netdevice::{index_to_name, name_to_index};
use socket2::{Domain, Socket, Type};

/// An IP address to listen on, with its zone (RFC 4007) if it is link-local: `fe80::1%eth0`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BindAddress {
    ip: IpAddr,
    /// The name or the number of a network interface.
    zone: Option<String>,
}

impl BindAddress {
    /// The address with this port. A zone's name becomes the number of the interface.
    ///
    /// # Errors
    ///
    /// The operating system's error, if there is no such interface.
    pub(crate) fn with_port(&self, port: u16) -> io::Result<SocketAddr> {
        match (self.ip, &self.zone) {
            (IpAddr::V6(ip), Some(zone)) => {
                Ok(SocketAddrV6::new(ip, port, 0, interface_number(zone)?).into())
            }
            (ip, _) => Ok(SocketAddr::new(ip, port)),
        }
    }
}

impl<A: Into<IpAddr>> From<A> for BindAddress {
    fn from(ip: A) -> Self {
        Self { ip: ip.into(), zone: None }
    }
}

/// The text is not an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAnAddress;

impl FromStr for BindAddress {
    type Err = NotAnAddress;

    fn from_str(text: &str) -> Result<Self, NotAnAddress> {
        let Some((ip, zone)) = text.split_once('%') else {
            return text.parse::<IpAddr>().map(Self::from).map_err(|_| NotAnAddress);
        };
        let ip: Ipv6Addr = ip.parse().map_err(|_| NotAnAddress)?;
        let is_zone = !zone.is_empty() && !zone.contains(|c: char| c.is_whitespace() || c == '/');
        match ip.is_unicast_link_local() && is_zone {
            true => Ok(Self { ip: ip.into(), zone: Some(zone.to_owned()) }),
            false => Err(NotAnAddress),
        }
    }
}

impl Display for BindAddress {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.zone {
            None => self.ip.fmt(f),
            Some(zone) => write!(f, "{}%{zone}", self.ip),
        }
    }
}

/// A socket address that is printed with the name of its zone: `[fe80::2%eth0]:5000`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Zoned(pub(crate) SocketAddr);

impl Display for Zoned {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0 {
            SocketAddr::V6(v6) if v6.scope_id() != 0 => match interface_name(v6.scope_id()) {
                Ok(zone) => write!(f, "[{}%{zone}]:{}", v6.ip(), v6.port()),
                // The interface is gone. The standard form has its number.
                Err(_) => self.0.fmt(f),
            },
            address => address.fmt(f),
        }
    }
}

impl serde::Serialize for Zoned {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

/// The IP address alone, with the name of its zone.
pub(crate) fn zoned_ip(address: SocketAddr) -> String {
    match address {
        SocketAddr::V6(v6) if v6.scope_id() != 0 => match interface_name(v6.scope_id()) {
            Ok(zone) => format!("{}%{zone}", v6.ip()),
            Err(_) => format!("{}%{}", v6.ip(), v6.scope_id()),
        },
        address => address.ip().to_string(),
    }
}

/// The address of an IPv4 peer of a dual-stack socket as IPv4.
pub(crate) fn canonical(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V6(v6) if v6.ip().to_ipv4_mapped().is_some() => {
            SocketAddr::new(address.ip().to_canonical(), address.port())
        }
        address => address,
    }
}

/// Any socket will do for asking about interfaces (netdevice(7)).
fn any_socket() -> io::Result<Socket> {
    Socket::new(Domain::UNIX, Type::DGRAM, None)
}

fn interface_number(zone: &str) -> io::Result<u32> {
    match zone.parse() {
        Ok(number) => Ok(number),
        Err(_) => Ok(name_to_index(any_socket()?, zone)?),
    }
}

fn interface_name(number: u32) -> io::Result<String> {
    Ok(index_to_name(any_socket()?, number)?)
}

/// `HOST:PORT`. The host is a name or an IP address; an IPv6 address is in brackets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPort {
    /// The host as it was written, without brackets.
    pub host: String,
    /// The port, which is not 0.
    pub port: u16,
}

impl FromStr for HostPort {
    type Err = NotAnAddress;

    fn from_str(text: &str) -> Result<Self, NotAnAddress> {
        let (host, port) = text.rsplit_once(':').ok_or(NotAnAddress)?;
        let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let is_host = match bracketed {
            Some(ip) => ip.split('%').next().is_some_and(|ip| ip.parse::<Ipv6Addr>().is_ok()),
            None => {
                !host.is_empty()
                    && !host.contains(|c: char| c == ':' || c.is_whitespace() || c.is_control())
            }
        };
        let port = port.parse().ok().filter(|&port| port > 0).ok_or(NotAnAddress)?;
        let host = bracketed.unwrap_or(host).to_owned();
        if is_host { Ok(Self { host, port }) } else { Err(NotAnAddress) }
    }
}

impl Display for HostPort {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The number of the loopback interface.
    fn loopback() -> u32 {
        interface_number("lo").unwrap()
    }

    #[test]
    fn a_bind_address_is_written_as_it_was_read() {
        for text in ["0.0.0.0", "::", "127.0.0.1", "fe80::1", "fe80::1%eth0", "fe80::1%7"] {
            assert_eq!(text.parse::<BindAddress>().map(|bind| bind.to_string()), Ok(text.into()));
        }
        for text in ["", "localhost", "1.2.3", "::1%lo", "fe80::1%", "127.0.0.1%lo", "fe80::1%a b"]
        {
            assert_eq!(text.parse::<BindAddress>(), Err(NotAnAddress), "{text}");
        }
    }

    #[test]
    fn a_zone_is_a_number_for_the_system_and_a_name_for_people() {
        let bind: BindAddress = "fe80::1%lo".parse().unwrap();
        let address = bind.with_port(4444).unwrap();
        assert_eq!(
            address,
            SocketAddrV6::new("fe80::1".parse().unwrap(), 4444, 0, loopback()).into()
        );
        assert_eq!(Zoned(address).to_string(), "[fe80::1%lo]:4444");
        assert_eq!(zoned_ip(address), "fe80::1%lo");
    }

    #[test]
    fn a_zone_that_is_gone_is_printed_as_its_number() {
        let address = SocketAddrV6::new("fe80::1".parse().unwrap(), 5, 0, 1_000_000).into();
        assert_eq!(Zoned(address).to_string(), "[fe80::1%1000000]:5");
    }

    #[test]
    fn an_ipv4_peer_of_a_dual_stack_socket_is_ipv4_and_a_zone_is_kept() {
        let mapped = "[::ffff:10.0.0.7]:13442".parse().unwrap();
        assert_eq!(canonical(mapped), "10.0.0.7:13442".parse().unwrap());
        let zoned = SocketAddrV6::new("fe80::1".parse().unwrap(), 5, 0, 3).into();
        assert_eq!(canonical(zoned), zoned);
    }

    #[test]
    fn a_host_and_port_is_written_as_it_was_read() {
        for text in ["scope.lab:5025", "10.0.0.7:1", "[::1]:4444", "[fe80::1%eth0]:5025"] {
            assert_eq!(text.parse::<HostPort>().map(|host| host.to_string()), Ok(text.into()));
        }
        for text in ["scope", ":5025", "scope:0", "scope:70000", "::1:4444", "[::1:4444", "a b:1"] {
            assert_eq!(text.parse::<HostPort>(), Err(NotAnAddress), "{text}");
        }
    }
}
