//! Two network namespaces with a bridge each, joined by a link that can be taken down.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::process::Command;

use super::warden::{Ward, Warden};
use crate::error::ChaosError;

/// Where `ip netns` keeps its namespaces.
const NAMESPACES: &str = "/run/netns";
/// The network of both sides; it exists in namespaces of ours only.
const ADDRESSES: [Ipv4Addr; SIDES] = [Ipv4Addr::new(10, 77, 0, 1), Ipv4Addr::new(10, 77, 0, 2)];
const PREFIX_BITS: u8 = 24;
/// Sides of a partition.
pub(crate) const SIDES: usize = 2;
/// The bridge of a side, which keeps the side's address while the link is down.
const BRIDGE: &str = "side";
/// The column of `/proc/net/dev` with the bytes sent, counted from 0 behind the device's name.
const SENT_BYTES: usize = 8;
/// The end of the link in each side.
const LINK: &str = "tolink";

/// Two sides of a network, removed when dropped.
#[derive(Debug)]
pub(crate) struct Network {
    names: [String; SIDES],
    warden: Warden,
}

impl Network {
    /// Makes the namespaces, their bridges and the link.
    ///
    /// # Errors
    /// What the system said no to; nothing is left.
    pub(crate) fn make(warden: &Warden) -> Result<Self, ChaosError> {
        let pid = std::process::id();
        let network =
            Self { names: [format!("kadmap{pid}a"), format!("kadmap{pid}b")], warden: warden.clone() };
        for (name, address) in network.names.iter().zip(ADDRESSES) {
            network.warden.guard(&Ward::Namespace(name.clone()))?;
            ip(&format!("netns add {name}"))?;
            ip(&format!("-n {name} link set lo up"))?;
            ip(&format!("-n {name} link add {BRIDGE} type bridge"))?;
            ip(&format!("-n {name} addr add {address}/{PREFIX_BITS} dev {BRIDGE}"))?;
            ip(&format!("-n {name} link set {BRIDGE} up"))?;
        }
        let [one, other] = &network.names;
        ip(&format!("link add {LINK} netns {one} type veth peer name {LINK} netns {other}"))?;
        for name in &network.names {
            ip(&format!("-n {name} link set {LINK} master {BRIDGE}"))?;
            ip(&format!("-n {name} link set {LINK} up"))?;
        }
        Ok(network)
    }

    /// The namespace of a side.
    pub(crate) fn name(&self, side: usize) -> &str {
        &self.names[side % SIDES]
    }

    /// The file of a side's namespace.
    pub(crate) fn path(&self, side: usize) -> PathBuf {
        PathBuf::from(NAMESPACES).join(self.name(side))
    }

    /// The address of a side.
    pub(crate) fn address(&self, side: usize) -> IpAddr {
        ADDRESSES[side % SIDES].into()
    }

    /// Takes the link down: nothing passes between the sides, and nobody is told.
    pub(crate) fn cut(&self) -> Result<(), ChaosError> {
        ip(&format!("-n {} link set {LINK} down", self.names[0]))
    }

    /// Brings the link up again.
    pub(crate) fn heal(&self) -> Result<(), ChaosError> {
        ip(&format!("-n {} link set {LINK} up", self.names[0]))
    }

    /// Lets the link lose and delay packets.
    ///
    /// # Errors
    /// Where the kernel has no `sch_netem`.
    pub(crate) fn disturb(&self, how: &str) -> Result<(), ChaosError> {
        let [one, other] = &self.names;
        run("tc", &format!("-n {one} qdisc replace dev {LINK} root netem {how}"))?;
        run("tc", &format!("-n {other} qdisc replace dev {LINK} root netem {how}")).map(drop)
    }

    /// Bytes sent so far within the sides and between them.
    pub(crate) fn traffic_bytes(&self) -> Result<u64, ChaosError> {
        let counted = self.names.iter().map(|name| {
            let devices = run("ip", &format!("netns exec {name} cat /proc/net/dev"))?;
            let lines = devices.lines().filter_map(|line| line.split_once(':'));
            // The bridge repeats what its link carries.
            let lines = lines.filter(|(device, _)| device.trim() != BRIDGE);
            Ok(lines
                .filter_map(|(_, counts)| counts.split_whitespace().nth(SENT_BYTES)?.parse::<u64>().ok())
                .sum::<u64>())
        });
        counted.sum::<Result<u64, ChaosError>>()
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for name in &self.names {
            // One that was never made, or is gone, is what is wanted.
            let _ = ip(&format!("netns del {name}"));
            self.warden.release(&Ward::Namespace(name.clone()));
        }
    }
}

fn ip(line: &str) -> Result<(), ChaosError> {
    run("ip", line).map(drop)
}

/// Runs a program to its end and gives what it said.
fn run(program: &str, line: &str) -> Result<String, ChaosError> {
    let command = format!("{program} {line}");
    let output = Command::new(program).args(line.split_whitespace()).output();
    match output {
        Ok(output) if output.status.success() => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        Ok(output) => {
            let reason = String::from_utf8_lossy(&output.stderr).trim().replace('\n', "; ");
            Err(ChaosError::Command { command, reason })
        }
        Err(error) => Err(ChaosError::Command { command, reason: error.to_string() }),
    }
}
