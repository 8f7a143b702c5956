//! What can be measured, one file each.

pub(crate) mod churn;
pub(crate) mod drift;
pub(crate) mod loss;
pub(crate) mod memory;
pub(crate) mod rest;
pub(crate) mod rpc;
pub(crate) mod swarm;
pub(crate) mod watch;
