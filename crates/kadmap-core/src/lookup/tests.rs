//! Laws of the lookup, on synthetic networks with static tables.

mod laws;
mod network;
mod swarm;
